#pragma once

#include <cstddef>

namespace ecseq {

/// Bytes that go to and from a processor's caches together.
constexpr std::size_t kCacheLine = 64;

/// Brings a cache line nearer, ahead of its use.
inline void fetch_line(const void* at) {
  __builtin_prefetch(at);
  // GCC takes a function that does nothing but prefetch for one without effect and drops calls.
  asm volatile("" : : "r"(at));
}

}  // namespace ecseq
