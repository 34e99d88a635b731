//! Vectors on disk and the search over them.
//!
//! An index is a folder: `vectors.npy` holds one row of f32 a document, `index.json` says how the rows were made
//! and what every file of the folder must look like. Opening it costs the same for ten documents and ten million,
//! because the rows are memory-mapped and only headers and sizes are checked; [`IndexFolder::verify`] reads
//! everything.
//!
//! A search is exact: every document's inner product with every query, the best `k` under one total order (score
//! descending, then document id descending). [`dot`] defines the number that a pair of vectors scores; the fast
//! paths give the same bits, whatever the block sizes, the instruction set and the number of threads.
//!
//! Beside the f32 vectors may stand a copy in fewer bits ([`Storage`]), of which a search reads a half or a quarter
//! of the bytes: [`Rounded`] rules out by a proven bound what cannot be a hit and scores the rest from the f32 rows,
//! so that hits, scores and order are the same bits as [`Exact`]'s.
//!
//! What this crate leaves out: documents, their ids and their texts. Rows have ordinals; whoever holds the ids
//! breaks ties through a closure. It prints nothing, reads no environment variables and starts no threads: the pool
//! is handed in.
//!
//! ```
//! use sbmoe_index::{Exact, Search, SimdLevel, Store};
//!
//! let documents = [1.0, 0.0, 0.0, 1.0, 0.6, 0.8];
//! let ids = ["d1", "d2", "d3"];
//! let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
//!
//! let store = Exact::new(&documents, 2, SimdLevel::best())?;
//! let search = Search { queries: &[0.0, 1.0], k: 2, id_order: &|a, b| ids[a as usize].cmp(ids[b as usize]) };
//! let hits = store.search(&search, &pool)?;
//! assert_eq!(hits[0].iter().map(|hit| hit.document).collect::<Vec<_>>(), [1, 2]);
//! # Ok::<(), sbmoe_index::IndexError>(())
//! ```

mod array;
mod array_writer;
mod byte_rows;
mod checksum;
mod error;
mod folder;
mod hit;
mod kernel;
mod level;
mod manifest;
mod npy;
mod partial;
mod rounded;
mod search;
mod storage;
mod store;
mod vectors;

pub use array::Array;
pub use array_writer::ArrayWriter;
pub use byte_rows::{ByteRows, ByteRowsWriter};
pub use checksum::FileRecord;
pub use error::IndexError;
pub use folder::{IndexFolder, POOLED_FILE, VECTORS_FILE};
pub use hit::{DocOrdinal, Hit, IdOrder, compare_hits, merge};
pub use kernel::dot;
pub use level::{SimdKind, SimdLevel};
pub use manifest::{FORMAT_VERSION, MANIFEST_FILE, Manifest, Similarity};
pub use npy::{Element, Shape};
pub use partial::partial_path;
pub use rounded::{RoundedVectors, Rounding};
pub use search::{Exact, Rounded};
pub use storage::Storage;
pub use store::{Search, Store};
pub use vectors::{VectorWriter, Vectors};

#[cfg(not(target_endian = "little"))]
compile_error!(
    "the files are little endian and are mapped as they are, so the machine must be little endian too"
);
