// run_level LEVEL PROGRAM: runs a program compiled for an x86-64 level (v2, v3, v4), or says that
// this machine cannot. Compiled without -march, because the program itself might not get as far as
// a check of its own.

#include <unistd.h>

#include <cstdio>
#include <string>

namespace {

constexpr int kSkipped = 77;

bool supported(const std::string& level) {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("popcnt")) return false;
  if (level == "v2") return true;
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
      !__builtin_cpu_supports("bmi2")) {
    return false;
  }
  if (level == "v3") return true;
  return level == "v4" && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s v2|v3|v4 PROGRAM [ARGUMENTS]\n", argv[0]);
    return 2;
  }
  if (!supported(argv[1])) {
    std::printf("skipped: this processor does not run x86-64-%s\n", argv[1]);
    return kSkipped;
  }
  execv(argv[2], argv + 2);
  std::perror(argv[2]);
  return 1;
}
