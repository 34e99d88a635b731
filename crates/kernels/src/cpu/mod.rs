//! The fast implementation of the operators on processors: in f32, linear layers also in bf16 and in integers.
//!
//! Work is cut into tiles that depend on shapes alone, each tile is computed by one thread, and sums across tiles are
//! added in the tiles' order: the bytes of a result do not depend on the number of threads.
#![expect(
    clippy::inline_always,
    reason = "a loop's body takes on the instructions of the function it is inlined into"
)]

mod activation;
mod adamw;
#[cfg(target_arch = "x86_64")]
mod amx;
mod arena;
mod arithmetic;
mod attention;
mod attention_backward;
mod bf16;
mod bf16_words;
mod block;
mod blocking;
mod columns;
mod contrastive;
mod distill;
mod embedding;
mod feed_forward;
mod feed_forward_backward;
mod form;
mod functions;
mod heads;
mod int8;
mod lanes;
mod left;
mod level;
mod linear;
mod linear_backward;
mod many;
mod mask;
mod memory;
mod mixture;
mod norm;
mod normalize;
mod objectives;
mod operators;
mod packing;
mod pooling;
#[cfg(target_arch = "x86_64")]
mod powers;
mod prepared;
mod product;
mod projection;
mod registers;
mod right;
mod rows;
mod sixteen;
mod softmax;
mod source;
mod squares;
mod store;
mod sums;
mod tiles;
#[cfg(target_arch = "x86_64")]
mod zmm;

use std::fmt;
use std::sync::Arc;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

pub use level::{Level, LevelKind};
pub use memory::Buffer;

/// Elements of a tile: large enough to be worth a task, small enough to stay in the second cache.
const TILE: usize = 1 << 14;

/// Below this many elements, waking another thread costs more than it saves.
const SMALL: usize = 1 << 15;

/// The operators on a processor, with their own threads.
pub struct Cpu {
    pool: rayon::ThreadPool,
    threads: usize,
    level: Level,
    memory: Arc<memory::Memory>,
}

impl Cpu {
    /// The fastest level of this processor on `threads` threads; 0 is one per core.
    ///
    /// # Panics
    /// When the system refuses to start the threads.
    pub fn new(threads: usize) -> Self {
        Self::with_level(threads, Level::best())
    }

    /// As [`Cpu::new`], with a chosen level.
    ///
    /// # Panics
    /// When the system refuses to start the threads.
    pub fn with_level(threads: usize, level: Level) -> Self {
        let threads =
            if threads == 0 { std::thread::available_parallelism().map_or(1, usize::from) } else { threads };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("sbmoe-cpu-{index}"))
            .build()
            .expect("the system starts the threads of the pool");
        Self { pool, threads, level, memory: Arc::new(memory::Memory::new(threads)) }
    }

    /// The threads that the operators run on.
    pub fn pool(&self) -> &rayon::ThreadPool {
        &self.pool
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The level of the operators' loops.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Runs `work` on every tile; `size` is how many elements the tiles have together.
    fn each<T: Send>(&self, size: usize, tiles: impl Iterator<Item = T>, work: impl Fn(T) + Send + Sync) {
        if self.threads == 1 || size < SMALL {
            tiles.for_each(work);
        } else {
            let tiles: Vec<T> = tiles.collect();
            // Every tile may be stolen alone: at the end no thread waits for several of another's.
            self.pool.install(|| tiles.into_par_iter().with_max_len(1).for_each(work));
        }
    }

    /// Both pieces of work, on two threads where there are two.
    fn join<A: Send, B: Send>(
        &self,
        first: impl FnOnce() -> A + Send,
        second: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        if self.threads == 1 { (first(), second()) } else { self.pool.join(first, second) }
    }

    /// As [`Cpu::each`], with the results in the order of the tiles.
    fn map<T: Send, R: Send>(
        &self,
        size: usize,
        tiles: impl Iterator<Item = T>,
        work: impl Fn(T) -> R + Send + Sync,
    ) -> Vec<R> {
        if self.threads == 1 || size < SMALL {
            tiles.map(work).collect()
        } else {
            let tiles: Vec<T> = tiles.collect();
            self.pool.install(|| tiles.into_par_iter().with_max_len(1).map(work).collect())
        }
    }
}

impl fmt::Debug for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cpu")
            .field("threads", &self.threads)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

/// Elements of the whole rows of `columns` elements that make a tile.
fn row_tile(columns: usize) -> usize {
    (TILE / columns.max(1)).max(1) * columns.max(1)
}
