//! Weights: safetensors, shards, and both of PyTorch's serialisations, whole and from within their frames.

use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;

use sbmoe_model::checkpoint::{Checkpoint, metadata, weight_files};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::{files, target, texts, told, words};
use crate::target::Target;

macro_rules! sample {
    ($name:literal) => {
        include_bytes!(concat!("../../../crates/model/tests/data/checkpoint/", $name))
    };
}

const HEADER: &str = "{\"__metadata__\":{\"a\":\"b\"},\"w\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},\
    \"h\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[16,20]}}";
const HEADER_WORDS: &str = "\"F64\" \"F16\" \"I64\" \"BOOL\" \"F4\" \"shape\" \"data_offsets\" [] [0,0] \"__metadata__\" \
    null \"weight_map\" \"model-00001-of-00002.safetensors\" \"../x\" \"\"";

/// Instructions of the pickle machine, and names that it knows or refuses.
const PICKLE_WORDS: &[u8] =
    b"( . 0 1 2 } ] ) u s e a t \x85 \x86 \x87 R b Q N \x88 q\x00 h\x00 r\xff\xff\xff\xff \
    j\x00\x00\x00\x00 \x94 K\x02 M\xff\xff J\xff\xff\xff\xff \
    \x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f \x8a\x00 X\xff\xff\xff\x7f \
    \x8d\xff\xff\xff\xff\xff\xff\xff\xff ctorch._utils\n_rebuild_tensor_v2\n \
    ccollections\nOrderedDict\n ctorch\nFloatStorage\n cos\nsystem\n cbuiltins\nset\n \
    I99999999999999999999\n L5L\n \x80\x04 \x81 \x93";

pub(super) fn targets() -> Vec<Target> {
    let safetensors = vec![safetensors(HEADER.as_bytes().to_vec()), sample!("mixed.safetensors").to_vec()];
    let archives = vec![
        sample!("zip.bin").to_vec(),
        sample!("viewed_storage.bin").to_vec(),
        sample!("nested.pt").to_vec(),
    ];
    let pickles =
        [&sample!("zip.bin")[..], sample!("half.bin"), sample!("nested.pt")].map(pickle_of).to_vec();
    let legacy = vec![sample!("legacy.bin").to_vec(), sample!("viewed_storage.bin").to_vec()];
    let shards: &[(&str, &[u8])] = &[
        ("model-00001-of-00002.safetensors", sample!("sharded_safetensors/model-00001-of-00002.safetensors")),
        ("model-00002-of-00002.safetensors", sample!("sharded_safetensors/model-00002-of-00002.safetensors")),
    ];
    let index = sample!("sharded_safetensors/model.safetensors.index.json").to_vec();
    vec![
        Target {
            dictionary: words(HEADER_WORDS),
            ..target("safetensors", "weights.safetensors", safetensors, read_file)
        },
        Target {
            dictionary: words(HEADER_WORDS),
            frame: self::safetensors,
            ..target("safetensors-header", "weights.safetensors", texts(&[HEADER]), read_file)
        },
        Target {
            dictionary: words(HEADER_WORDS),
            beside: files(shards),
            ..target("shards", "model.safetensors.index.json", vec![index], read_shards)
        },
        Target { dictionary: words(PICKLE_WORDS), ..target("torch-zip", "weights.bin", archives, read_file) },
        Target {
            dictionary: words(PICKLE_WORDS),
            frame: archive,
            ..target("torch-pickle", "weights.bin", pickles, read_file)
        },
        Target {
            dictionary: words(PICKLE_WORDS),
            ..target("torch-legacy", "weights.bin", legacy, read_file)
        },
    ]
}

/// A safetensors file with this header, its length, and 20 bytes of numbers.
fn safetensors(header: Vec<u8>) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], &header, &[0; 20]].concat()
}

/// The pickle in an archive of PyTorch.
fn pickle_of(archive: &[u8]) -> Vec<u8> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).expect("the sample is an archive");
    let name =
        archive.file_names().find(|name| name.ends_with("data.pkl")).expect("it holds a pickle").to_owned();
    let mut pickle = Vec::new();
    archive.by_name(&name).expect("it is there").read_to_end(&mut pickle).expect("memory can be read");
    pickle
}

/// An archive of PyTorch with this pickle and some storages.
fn archive(pickle: Vec<u8>) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut put = |name: String, content: &[u8]| {
        archive
            .start_file(name, stored)
            .map_err(std::io::Error::other)
            .and_then(|()| archive.write_all(content))
    };
    put("archive/data.pkl".to_owned(), &pickle).expect("memory can be written");
    for key in 0..32 {
        put(format!("archive/data/{key}"), &[0; 1024]).expect("memory can be written");
    }
    archive.finish().expect("memory can be written").into_inner()
}

fn read_file(folder: &Path) -> Option<()> {
    let names = ["weights.safetensors", "weights.bin"];
    let path = names.map(|name| folder.join(name)).into_iter().find(|path| path.is_file())?;
    told(metadata(&path));
    told(Checkpoint::open_file(&path)).map(|checkpoint| read(&checkpoint))
}

fn read_shards(folder: &Path) -> Option<()> {
    told(weight_files(folder));
    told(Checkpoint::open(folder)).map(|checkpoint| read(&checkpoint))
}

/// Tensors of integers are refused one by one.
fn read(checkpoint: &Checkpoint) {
    for tensor in checkpoint.names().filter_map(|name| told(checkpoint.get(name))) {
        let count = tensor.shape.iter().product::<usize>();
        assert_eq!(tensor.values.len(), count, "as many numbers as the shape says");
    }
}
