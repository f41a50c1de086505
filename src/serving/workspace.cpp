#include "ecseq/serving/workspace.hpp"

namespace ecseq::serving {

Workspace& Workspace::of_this_thread() {
  thread_local Workspace workspace;
  return workspace;
}

}  // namespace ecseq::serving
