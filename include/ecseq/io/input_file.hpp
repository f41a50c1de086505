#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace ecseq::io {

/// A regular file, read from its beginning. Everything throws FileError, which names `path`.
class InputFile {
 public:
  explicit InputFile(std::string path);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  /// When it was opened, in bytes.
  std::uint64_t size() const { return size_; }
  int descriptor() const { return descriptor_; }
  /// The next `bytes` bytes; it is an error if there are fewer.
  void read(void* out, std::size_t bytes);

 private:
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace ecseq::io
