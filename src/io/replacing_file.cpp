#include "ecseq/io/replacing_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <utility>

#include "fail_with_errno.hpp"

namespace ecseq::io {
namespace {

std::string temporary_beside(const std::string& path) {
  static std::atomic<unsigned> counter{0};
  return path + ".tmp." + std::to_string(::getpid()) + "." + std::to_string(counter++);
}

}  // namespace

ReplacingFile::ReplacingFile(std::string path)
    : path_(std::move(path)), temporary_(temporary_beside(path_)) {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail_with_errno(path_, "cannot create a file in its folder");
}

ReplacingFile::~ReplacingFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void ReplacingFile::write(const void* data, std::size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t count = ::write(descriptor_, at, bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail_with_errno(path_, "cannot write");
    at += count;
    bytes -= static_cast<std::size_t>(count);
  }
}

void ReplacingFile::commit() {
  if (::fsync(descriptor_) != 0) fail_with_errno(path_, "cannot flush to the disk");
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) != 0) fail_with_errno(path_, "cannot close");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_with_errno(path_, "cannot replace");
  temporary_.clear();
  // The rename itself must reach the disk too. Some file systems cannot flush a folder; the file
  // is whole either way, so that is no failure.
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  const int parent =
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0) return;
  ::fsync(parent);
  ::close(parent);
}

}  // namespace ecseq::io
