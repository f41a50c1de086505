#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ecseq::io {

/// How a file comes into memory.
enum class FileAccess {
  /// A copy of one's own: what becomes of the file afterwards does not matter.
  kRead,
  /// Its pages are the process's memory, read-only and one copy for all processes that map the
  /// file. It must not be written in place while it is in use: readers would see the new bytes
  /// unchecked, and where it became shorter the system kills them (SIGBUS). Replacing it by
  /// renaming another onto its name, as ecseq saves files, is safe.
  kMap,
};

/// A regular file's bytes in its own pages, until the object is gone. Throws FileError, which names
/// `path`.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::string_view bytes() const { return {data_, size_}; }

 private:
  const char* data_ = nullptr;  ///< null: the file is empty
  std::size_t size_ = 0;
};

}  // namespace ecseq::io
