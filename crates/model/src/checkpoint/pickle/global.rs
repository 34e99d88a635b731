//! The allow-list of names that a pickle may mention.

use safetensors::Dtype;

/// The functions and classes that state dictionaries refer to. None of them is ever called: the machine knows what
/// each would build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch._utils._rebuild_tensor`: (storage, offset, shape, stride).
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v2`: the same, with flags for gradients.
    RebuildTensorV2,
    /// `torch._utils._rebuild_parameter`: (tensor, requires gradient, hooks).
    RebuildParameter,
    /// `torch.Size`: a tuple by another name.
    Size,
    /// The class of a storage of elements of one type.
    Storage(Dtype),
}

impl Global {
    /// Looks a name up; `None` means that it is not allowed.
    pub fn find(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor") => Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Self::RebuildTensorV2),
            ("torch._utils", "_rebuild_parameter") => Some(Self::RebuildParameter),
            ("torch", "Size") => Some(Self::Size),
            ("torch" | "torch.storage" | "torch.cuda", storage) => Self::storage(storage),
            _ => None,
        }
    }

    fn storage(class: &str) -> Option<Self> {
        let dtype = match class {
            "DoubleStorage" => Dtype::F64,
            "FloatStorage" => Dtype::F32,
            "HalfStorage" => Dtype::F16,
            "BFloat16Storage" => Dtype::BF16,
            "LongStorage" => Dtype::I64,
            "IntStorage" => Dtype::I32,
            "ShortStorage" => Dtype::I16,
            "CharStorage" => Dtype::I8,
            "ByteStorage" | "UntypedStorage" => Dtype::U8,
            "BoolStorage" => Dtype::BOOL,
            _ => return None,
        };
        Some(Self::Storage(dtype))
    }
}
