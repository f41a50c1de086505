#pragma once

#include <exception>
#include <functional>

#include "ecseq/core/matrix.hpp"

namespace ecseq {

/// Threads to use for a request: 0 means the process default (`set_num_threads`, else every
/// core). Always 1 in a forked child, whose OpenMP pool died with its parent.
int resolve_threads(int requested);

/// Process-wide default; 0 restores "every core".
void set_num_threads(int threads);

/// Runs task(0) .. task(n - 1), in any order, on up to `threads` threads. Results stay
/// bit-identical for every thread count as long as tasks write to separate places: callers
/// cut work into fixed chunks, never into "one chunk per thread". The exception of the
/// lowest task that threw is rethrown. One thread, or one task, runs on the calling thread.
void parallel_for(Index n, int threads, const std::function<void(Index)>& task);

/// parallel_for over [0, n) in fixed chunks: body(begin, end).
void parallel_chunks(Index n, Index chunk, int threads,
                     const std::function<void(Index, Index)>& body);

}  // namespace ecseq
