#include "ecseq/core/single_threaded_openmp.hpp"

#include <omp.h>

namespace ecseq {

SingleThreadedOpenMp::SingleThreadedOpenMp() : before_(omp_get_max_threads()) {
  omp_set_num_threads(1);
}

SingleThreadedOpenMp::~SingleThreadedOpenMp() { omp_set_num_threads(before_); }

}  // namespace ecseq
