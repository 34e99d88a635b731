//! Times the exact search and prints one line of JSON; every run also checks a sample of its hits against the
//! definition.
//!
//! `cargo bench -p sbmoe-index --bench search -- [--n N] [--dim D] [--queries Q] [--k K] [--threads T] [--repeat R]
//! [--level portable|avx2|avx512] [--storage f32|bf16|int8] [--vectors FILE.npy]`. The vectors are clustered
//! Gaussians unless a file is given; the peer's program draws its own from the same distribution. With a rounded
//! copy, `rescored` is the mean number of documents that a query of the batch scores from their f32 rows.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use sbmoe_index::{
    Exact, Hit, Rounded, RoundedVectors, Search, SimdLevel, Storage, Store, Vectors, compare_hits, dot,
};

struct Settings {
    n: usize,
    dim: usize,
    queries: usize,
    k: usize,
    threads: usize,
    repeat: usize,
    level: SimdLevel,
    storage: Storage,
    vectors: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut settings = read_settings()?;
    let mut draws = Draws { state: 42 };
    let mapped = settings.vectors.as_deref().map(|path| Vectors::open(Path::new(path))).transpose()?;
    let drawn = if mapped.is_none() { clustered(settings.n, settings.dim, &mut draws) } else { Vec::new() };
    let vectors = mapped.as_ref().map_or(drawn.as_slice(), Vectors::as_slice);
    if let Some(mapped) = &mapped {
        settings.dim = mapped.dim();
        settings.n = mapped.len();
    }
    let mut queries = Vec::with_capacity(settings.queries * settings.dim);
    for _ in 0..settings.queries {
        let row = draws.below(settings.n) * settings.dim;
        queries.extend(vectors[row..row + settings.dim].iter().map(|value| value + 0.1 * draws.normal()));
    }

    let pool = rayon::ThreadPoolBuilder::new().num_threads(settings.threads).build()?;
    let exact = Exact::new(vectors, settings.dim, settings.level)?;
    let rounding = settings.storage.rounding();
    let copy = rounding.map(|rounding| RoundedVectors::of(vectors, settings.dim, rounding)).transpose()?;
    let rounded = copy.as_ref().map(|copy| Rounded::new(vectors, copy, settings.level)).transpose()?;
    let store: &dyn Store = rounded.as_ref().map_or(&exact, |rounded| rounded);
    let search = Search { queries: &queries, k: settings.k, id_order: &|a, b| a.cmp(&b) };
    let mut hits = Vec::new();
    let mut batch_s = Vec::new();
    for _ in 0..settings.repeat {
        let start = Instant::now();
        hits = store.search(&search, &pool)?;
        batch_s.push(start.elapsed().as_secs_f64());
    }
    let searched = (settings.repeat * settings.queries) as f64;
    let rescored = rounded.as_ref().map(|rounded| rounded.rescored() as f64 / searched);
    let mut single_ms = Vec::new();
    for query in queries.chunks_exact(settings.dim).cycle().take(10 * settings.repeat) {
        let start = Instant::now();
        let alone = store.search(&Search { queries: query, ..search }, &pool)?;
        single_ms.push(1e3 * start.elapsed().as_secs_f64());
        assert_eq!(alone[0].len(), settings.k.min(settings.n), "one query alone finds as many");
    }
    for query in [0, settings.queries / 2, settings.queries - 1] {
        assert_eq!(hits[query], naive(vectors, &queries[query * settings.dim..][..settings.dim], &search));
    }

    let batch_s = median(batch_s);
    let report = serde_json::json!({
        "work": "search",
        "engine": "sbmoe",
        "level": settings.level.name(),
        "storage": settings.storage.name(),
        "n": settings.n,
        "dim": settings.dim,
        "queries": settings.queries,
        "k": settings.k,
        "threads": settings.threads,
        "queries_per_s": settings.queries as f64 / batch_s,
        "gflop_per_s": 2e-9 * (settings.queries * vectors.len()) as f64 / batch_s,
        "single_ms": median(single_ms),
        "rescored": rescored,
    });
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer(&mut stdout, &report)?;
    std::io::Write::write_all(&mut stdout, b"\n")?;
    Ok(())
}

fn read_settings() -> Result<Settings, Box<dyn Error>> {
    let mut settings = Settings {
        n: 200_000,
        dim: 384,
        queries: 1000,
        k: 100,
        threads: std::thread::available_parallelism()?.get(),
        repeat: 5,
        level: SimdLevel::best(),
        storage: Storage::F32,
        vectors: None,
    };
    // Cargo itself passes `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("`{name}` needs a value"))?;
        match name.as_str() {
            "--n" => settings.n = value.parse()?,
            "--dim" => settings.dim = value.parse()?,
            "--queries" => settings.queries = value.parse()?,
            "--k" => settings.k = value.parse()?,
            "--threads" => settings.threads = value.parse()?,
            "--repeat" => settings.repeat = value.parse()?,
            "--level" => {
                let level = SimdLevel::available().find(|level| level.name() == value);
                settings.level = level.ok_or_else(|| format!("`{value}` is no level of this processor"))?;
            }
            "--storage" => settings.storage = value.parse()?,
            "--vectors" => settings.vectors = Some(value),
            _ => return Err(format!("`{name}` is no option").into()),
        }
    }
    Ok(settings)
}

fn naive(vectors: &[f32], query: &[f32], search: &Search<'_>) -> Vec<Hit> {
    let mut hits: Vec<Hit> = vectors
        .chunks_exact(query.len())
        .enumerate()
        .map(|(document, vector)| Hit { document: document as u32, score: dot(query, vector) })
        .collect();
    hits.sort_unstable_by(|a, b| compare_hits(a, b, search.id_order));
    hits.truncate(search.k);
    hits
}

fn clustered(n: usize, dim: usize, draws: &mut Draws) -> Vec<f32> {
    let centres: Vec<f32> = (0..1000 * dim).map(|_| draws.normal()).collect();
    let mut vectors = Vec::with_capacity(n * dim);
    for _ in 0..n {
        let centre = draws.below(1000) * dim;
        vectors.extend(centres[centre..centre + dim].iter().map(|value| value + 0.7 * draws.normal()));
    }
    vectors
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// SplitMix64.
struct Draws {
    state: u64,
}

impl Draws {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn unit(&mut self) -> f32 {
        ((self.next() >> 40) as f32 + 0.5) / (1_u32 << 24) as f32
    }

    /// Box and Muller's normal deviate.
    fn normal(&mut self) -> f32 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f32::consts::TAU * self.unit()).cos()
    }
}
