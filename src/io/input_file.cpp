#include "ecseq/io/input_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "fail_with_errno.hpp"

namespace ecseq::io {
namespace {

std::uint64_t size_of(int descriptor, const std::string& path) {
  struct stat status;
  if (::fstat(descriptor, &status) != 0) fail_with_errno(path, "cannot read");
  if (!S_ISREG(status.st_mode)) throw FileError(path + ": not a regular file");
  return static_cast<std::uint64_t>(status.st_size);
}

}  // namespace

InputFile::InputFile(std::string path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail_with_errno(path_, "cannot open");
  try {
    size_ = size_of(descriptor_, path_);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read(void* out, std::size_t bytes) {
  char* at = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t count = ::read(descriptor_, at, bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_with_errno(path_, "cannot read");
    if (count == 0) throw FileError(path_ + ": became shorter while it was read");
    at += count;
    bytes -= static_cast<std::size_t>(count);
  }
}

}  // namespace ecseq::io
