#pragma once

namespace ecseq {

/// While it lives, OpenMP regions that the calling thread enters in other libraries (FAISS) run on
/// this thread alone; afterwards on as many as before.
class SingleThreadedOpenMp {
 public:
  SingleThreadedOpenMp();
  ~SingleThreadedOpenMp();
  SingleThreadedOpenMp(const SingleThreadedOpenMp&) = delete;
  SingleThreadedOpenMp& operator=(const SingleThreadedOpenMp&) = delete;

 private:
  int before_;
};

}  // namespace ecseq
