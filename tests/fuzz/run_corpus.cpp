// A main for a fuzz target without libFuzzer: every file of the folders given goes through it once,
// as it is, and cut and altered in a few places. What crashes or aborts fails the test.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void run(const Bytes& bytes) {
  constexpr std::size_t kPlaces = 16;
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  for (std::size_t place = 0; place < kPlaces; ++place) {
    const std::size_t at = bytes.size() * place / kPlaces;
    LLVMFuzzerTestOneInput(bytes.data(), at);
    if (at >= bytes.size()) continue;
    Bytes altered = bytes;
    altered[at] ^= static_cast<std::uint8_t>(1U << (place % 8));
    LLVMFuzzerTestOneInput(altered.data(), altered.size());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  std::size_t files = 0;
  for (int i = 1; i < argc; ++i) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      if (entry.is_regular_file()) paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) {
      std::cout << path.string() << std::endl;  // flushed: a crash is of the last file named
      run(read(path));
      ++files;
    }
  }
  if (files > 0) return 0;
  std::cerr << "no file to run; usage: " << argv[0] << " folder...\n";
  return 1;
}
