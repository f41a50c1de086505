// How libFuzzer alters a safetensors file: mostly entry by entry, so that what it tries still has
// the shape of a file, and its header and checksum are right.

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ecseq/core/error.hpp"
#include "ecseq/core/rng.hpp"
#include "ecseq/io/safetensors.hpp"
#include "repaired_file.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace ecseq::testing {
namespace {

using nlohmann::json;

template <class Container>
auto any_of(Container& container, Rng& rng) {
  return std::next(container.begin(), rng.below(static_cast<Index>(container.size())));
}

double interesting_number(Rng& rng) {
  static const double kNumbers[] = {0.0,
                                    -1.0,
                                    1.0,
                                    2.0,
                                    63.0,
                                    1e-300,
                                    1e9,
                                    1e300,
                                    -1e300,
                                    std::numeric_limits<double>::infinity(),
                                    std::numeric_limits<double>::quiet_NaN()};
  return kNumbers[rng.below(std::size(kNumbers))];
}

std::int64_t interesting_integer(Rng& rng) {
  static const std::int64_t kIntegers[] = {0,
                                           1,
                                           -1,
                                           2,
                                           3,
                                           31,
                                           1000,
                                           1LL << 20,
                                           1LL << 31,
                                           1LL << 40,
                                           1LL << 62,
                                           std::numeric_limits<std::int64_t>::max(),
                                           std::numeric_limits<std::int64_t>::min()};
  return kIntegers[rng.below(std::size(kIntegers))];
}

json interesting_value(Rng& rng) {
  switch (rng.below(8)) {
    case 0:
      return nullptr;
    case 1:
      return rng.below(2) == 1;
    case 2:
      return json::array();
    case 3:
      return json::object();
    case 4: {
      static const char* const kWords[] = {"",    "gru",     "lstm",        "transformer", "gat",
                                           "gcn", "knn",     "correlation", "attention",   "none",
                                           "max", "learned", "summary",     "epsilon",     "alone"};
      return kWords[rng.below(std::size(kWords))];
    }
    case 5: {
      const double number = interesting_number(rng);
      return std::isfinite(number) ? json(number) : json("nan");
    }
    default:
      return interesting_integer(rng);
  }
}

void collect(json& node, std::vector<json*>& nodes) {
  nodes.push_back(&node);
  if (!node.is_structured()) return;
  for (auto& child : node) collect(child, nodes);
}

/// Alters one value of a text that is JSON.
void mutate_json(std::string& text, Rng& rng) {
  json root = json::parse(text, nullptr, false);
  if (root.is_discarded()) return;
  std::vector<json*> nodes;
  collect(root, nodes);
  json& node = **any_of(nodes, rng);
  if (node.is_structured() && !node.empty() && rng.below(2) == 0) {
    const auto child = any_of(node, rng);
    if (node.is_array() && rng.below(2) == 0) {
      node.push_back(json(*child));
    } else {
      node.erase(child);
    }
  } else if (node.is_number_integer() && rng.below(2) == 0) {
    const std::uint64_t step = rng.below(2) == 0 ? 1 : ~std::uint64_t{0};  // -1: the ends meet
    node = static_cast<std::int64_t>(node.get<std::uint64_t>() + step);
  } else {
    node = interesting_value(rng);
  }
  text = root.dump(-1, ' ', true, json::error_handler_t::replace);
}

/// Alters the bytes of a text, as libFuzzer thinks best.
void mutate_text(std::string& text) {
  const std::size_t size = text.size();
  text.resize(size + 64);
  text.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(text.data()), size, text.size()));
}

template <class T>
void mutate_list(std::vector<T>& values, T interesting, Rng& rng) {
  switch (rng.below(4)) {
    case 0:
      values.push_back(interesting);
      break;
    case 1:
      if (!values.empty()) values.pop_back();
      break;
    case 2:
      if (!values.empty()) *any_of(values, rng) = *any_of(values, rng);
      break;
    default:
      if (!values.empty()) *any_of(values, rng) = interesting;
  }
}

void mutate_matrix(Matrix<float>& matrix, Rng& rng) {
  const auto near = [&](Index size) {
    return rng.below(8) == 0 ? 0 : std::max<Index>(0, size + rng.below(3) - 1);
  };
  const Index which = rng.below(5);
  if (which == 0) {
    Matrix<float> other = Matrix<float>::Constant(near(matrix.rows()), near(matrix.cols()), 0.5F);
    const Index rows = std::min(other.rows(), matrix.rows());
    const Index cols = std::min(other.cols(), matrix.cols());
    other.topLeftCorner(rows, cols) = matrix.topLeftCorner(rows, cols);
    matrix = std::move(other);
  } else if (which == 1) {
    matrix.resize(matrix.cols(), matrix.rows());
    matrix.setConstant(0.25F);
  } else if (matrix.size() > 0) {
    matrix.data()[rng.below(matrix.size())] =
        which == 2 ? static_cast<float>(interesting_number(rng)) : static_cast<float>(rng.normal());
  }
}

/// Removes an entry, or gives it another one's value.
template <class Map>
void shuffle(Map& map, Rng& rng) {
  if (rng.below(2) == 0) {
    map.erase(any_of(map, rng));
  } else {
    any_of(map, rng)->second = any_of(map, rng)->second;
  }
}

void mutate(io::TensorFile& file, Rng& rng) {
  switch (rng.below(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
      if (file.metadata.count("config") > 0) mutate_json(file.metadata["config"], rng);
      break;
    case 4:
      if (file.metadata.count("user") > 0) mutate_json(file.metadata["user"], rng);
      break;
    case 5:
      if (!file.metadata.empty()) mutate_text(any_of(file.metadata, rng)->second);
      break;
    case 6:
    case 7:
      if (!file.floats.empty()) {
        SharedMatrix& tensor = any_of(file.floats, rng)->second;
        Matrix<float> matrix = tensor.eigen();
        mutate_matrix(matrix, rng);
        tensor = std::move(matrix);
      }
      break;
    case 8:
      if (!file.doubles.empty()) {
        mutate_list(any_of(file.doubles, rng)->second, interesting_number(rng), rng);
      }
      break;
    case 9:
    case 10:
      if (!file.integers.empty()) {
        mutate_list(any_of(file.integers, rng)->second, interesting_integer(rng), rng);
      }
      break;
    default:
      if (rng.below(3) == 0 && !file.doubles.empty()) return shuffle(file.doubles, rng);
      if (rng.below(2) == 0 && !file.integers.empty()) return shuffle(file.integers, rng);
      if (!file.floats.empty()) shuffle(file.floats, rng);
  }
}

}  // namespace
}  // namespace ecseq::testing

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned int seed) {
  using namespace ecseq;
  Rng rng(seed);
  if (rng.below(8) == 0) return LLVMFuzzerMutate(data, size, max_size);
  try {
    io::TensorFile file =
        io::from_bytes(testing::repaired({reinterpret_cast<const char*>(data), size}), "mutator");
    for (Index times = 1 + rng.below(3); times > 0; --times) testing::mutate(file, rng);
    const std::string bytes = io::to_bytes(file);
    if (bytes.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
    std::memcpy(data, bytes.data(), bytes.size());
    return bytes.size();
  } catch (const Error&) {  // not a file, or names that are not UTF-8
    return LLVMFuzzerMutate(data, size, max_size);
  }
}
