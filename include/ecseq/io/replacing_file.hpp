#pragma once

#include <cstddef>
#include <string>

namespace ecseq::io {

/// A file that appears under its name whole or not at all: it is written beside the target, flushed
/// to the disk, and renamed. Until `commit` returns, what had the name before is untouched.
/// A process that is killed leaves the unfinished `<path>.tmp.<process>.<number>` behind.
/// Everything throws FileError, which names `path`.
class ReplacingFile {
 public:
  explicit ReplacingFile(std::string path);
  ReplacingFile(const ReplacingFile&) = delete;
  ReplacingFile& operator=(const ReplacingFile&) = delete;
  /// Removes what was written, unless it was committed.
  ~ReplacingFile();

  /// Appends.
  void write(const void* data, std::size_t bytes);
  /// The last call: makes the file take the name.
  void commit();

 private:
  std::string path_;
  std::string temporary_;  ///< empty once it has been renamed
  int descriptor_ = -1;
};

}  // namespace ecseq::io
