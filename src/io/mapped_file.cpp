#include "ecseq/io/mapped_file.hpp"

#include <sys/mman.h>

#include "ecseq/io/input_file.hpp"
#include "fail_with_errno.hpp"

namespace ecseq::io {

MappedFile::MappedFile(const std::string& path) {
  const InputFile file(path);
  size_ = static_cast<std::size_t>(file.size());
  if (size_ == 0) return;  // which cannot be mapped
  void* const pages = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.descriptor(), 0);
  if (pages == MAP_FAILED) fail_with_errno(path, "cannot map");
  data_ = static_cast<const char*>(pages);
  ::madvise(pages, size_, MADV_WILLNEED);  // all of it is about to be checked
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

}  // namespace ecseq::io
