#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ecseq/core/shared_matrix.hpp"
#include "ecseq/io/mapped_file.hpp"

namespace ecseq::io {

/// A safetensors file in memory: named tensors and named texts. The names of the three kinds of
/// tensor are one namespace; "__metadata__" is not a tensor name, "checksum" not a metadata key.
struct TensorFile {
  std::map<std::string, std::string> metadata;
  std::map<std::string, SharedMatrix> floats;                 ///< F32, shape [rows, cols]
  std::map<std::string, std::vector<double>> doubles;         ///< F64, shape [n]
  std::map<std::string, std::vector<std::int64_t>> integers;  ///< I64, shape [n]
};

/// The file's bytes: 8-byte little-endian header length, JSON header padded with spaces to a
/// multiple of 8, then the tensors without gaps, those of 8-byte numbers first so that every one
/// is aligned. Equal contents give equal bytes. Metadata "checksum" is added: 16 hexadecimal
/// digits over the other metadata, and name, dtype, shape and bytes of every tensor.
/// Throws InvalidArgument where a name is reserved, used twice or not UTF-8.
std::string to_bytes(const TensorFile& file);

/// Reads what `to_bytes` wrote. Nothing is believed before it is checked: a truncated, altered or
/// hostile file throws FileError, whose message begins with `origin` (a path, usually). Memory
/// stays within a small multiple of the file's size.
TensorFile from_bytes(std::string_view bytes, const std::string& origin);

/// Writes to a temporary file in the same folder, flushes it to the disk and renames it: after a
/// crash or a full disk `path` holds the old file or the new one, never half of either.
/// Throws FileError.
void write_file(const TensorFile& file, const std::string& path);

/// kMap: F32 tensors stay where they lie in the file's pages, see FileAccess; whoever holds one
/// keeps all of the file mapped.
TensorFile read_file(const std::string& path, FileAccess access = FileAccess::kRead);

}  // namespace ecseq::io
