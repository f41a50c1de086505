#pragma once

#include <cstdint>

namespace ecseq {

/// Fibonacci hashing (Knuth, TAOCP 3, 6.4), for keys that may be plain numbers: the highest bits
/// are the home in a table whose size is a power of two.
inline std::uint64_t fibonacci_hash(std::uint64_t key) { return key * 0x9e3779b97f4a7c15ULL; }

}  // namespace ecseq
