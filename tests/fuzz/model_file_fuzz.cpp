// A model file of somebody else's: it is refused with an ecseq::Error, or it is a model that can be
// scored, streamed and saved.

#include <string>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "repaired_file.hpp"
#include "score_and_stream.hpp"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  ecseq::set_num_threads(1);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes = ecseq::testing::repaired({reinterpret_cast<const char*>(data), size});
  try {
    ecseq::pipeline::Model model = ecseq::pipeline::Model::from_bytes(bytes, "fuzz");
    ecseq::pipeline::Model::from_bytes(model.to_bytes(), "saved again");
    ecseq::serving::score_and_stream(ecseq::serving::Scorer(std::move(model)));
  } catch (const ecseq::Error&) {  // refused in words
  }
  return 0;
}
