//! The operators against finite differences, against the reference, and against themselves on other threads.

mod agreement;
mod attention_in_bf16;
mod draws;
mod feed_forward;
mod gradients;
mod known_values;
mod linear_backward;
mod nan;
mod objectives;
mod prepared;
mod tiny_bert;
