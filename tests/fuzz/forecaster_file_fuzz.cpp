// A forecaster's file of somebody else's: it is refused with an ecseq::Error, or it forecasts.

#include <string>

#include "ecseq/core/error.hpp"
#include "ecseq/core/parallel.hpp"
#include "ecseq/pipeline/forecaster.hpp"
#include "repaired_file.hpp"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  ecseq::set_num_threads(1);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using ecseq::pipeline::Forecaster;
  const std::string bytes = ecseq::testing::repaired({reinterpret_cast<const char*>(data), size});
  try {
    // Loading replays a forecast.
    const Forecaster model = Forecaster::from_bytes(bytes, "fuzz");
    Forecaster::from_bytes(model.to_bytes(), "saved again");
  } catch (const ecseq::Error&) {  // refused in words
  }
  return 0;
}
