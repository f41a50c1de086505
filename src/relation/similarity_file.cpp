#include <algorithm>
#include <cmath>
#include <limits>

#include "ecseq/core/error.hpp"
#include "ecseq/relation/similarity_relation.hpp"

namespace ecseq::relation {

void SimilarityRelation::save(io::TensorFile& file, const std::string& prefix) const {
  file.floats[prefix + "scale.mean"] = scaler_.mean;
  file.floats[prefix + "scale.inverse_std"] = scaler_.inverse_std;
  file.floats[prefix + "vectors"] = representatives_.vectors;
  file.doubles[prefix + "mass"] = representatives_.mass;
  file.doubles[prefix + "labelled_mass"] = labelled_mass_;
  file.doubles[prefix + "spread"] = representatives_.spread;
  file.doubles[prefix + "radius"] = representatives_.radius;
  file.doubles[prefix + "prior"] = prior_;
  const auto& sums = representatives_.label_sums;
  file.doubles[prefix + "label_sums"] = {sums.data(), sums.data() + sums.size()};
  const auto& cases = representatives_.cases;
  file.integers[prefix + "cases"] = {cases.data(), cases.data() + cases.size()};
}

SimilarityRelation SimilarityRelation::load(const io::TensorFile& file, const std::string& prefix,
                                            Task task, const SimilarityOptions& options) {
  const auto get = [&](const auto& map, const char* name) -> const auto& {
    const auto found = map.find(prefix + name);
    if (found == map.end()) {
      throw FileError("model file: tensor '" + prefix + name + "' is missing");
    }
    return found->second;
  };
  validate(options);
  SimilarityRelation out;
  out.options_ = options;
  out.task_ = task;
  out.scaler_.mean = get(file.floats, "scale.mean").eigen().reshaped().transpose();
  out.scaler_.inverse_std = get(file.floats, "scale.inverse_std").eigen().reshaped().transpose();
  auto& representatives = out.representatives_;
  representatives.vectors = get(file.floats, "vectors").eigen();
  if (!options.standardize) out.scaler_.bound = std::numeric_limits<float>::infinity();
  representatives.mass = get(file.doubles, "mass");
  out.labelled_mass_ = get(file.doubles, "labelled_mass");
  representatives.spread = get(file.doubles, "spread");
  representatives.radius = get(file.doubles, "radius");
  out.prior_ = get(file.doubles, "prior");
  const auto& sums = get(file.doubles, "label_sums");
  const auto& cases = get(file.integers, "cases");
  const Index k = representatives.vectors.rows(), h = representatives.vectors.cols();
  const auto size = static_cast<std::size_t>(k);
  if (k < 1 || h < 1 || out.scaler_.mean.size() != h || out.scaler_.inverse_std.size() != h ||
      representatives.mass.size() != size || out.labelled_mass_.size() != size ||
      representatives.spread.size() != size || representatives.radius.size() != size ||
      out.prior_.empty() || sums.size() != size * out.prior_.size() || cases.size() % size != 0) {
    throw FileError("model file: the representatives' tensors do not fit together");
  }
  const auto none_below = [](const std::vector<double>& values, double smallest) {
    return std::all_of(values.begin(), values.end(),
                       [&](double value) { return std::isfinite(value) && value >= smallest; });
  };
  constexpr double kAny = std::numeric_limits<double>::lowest();
  if (!representatives.vectors.allFinite() || !out.scaler_.mean.allFinite() ||
      !out.scaler_.inverse_std.allFinite() || !none_below(representatives.mass, 0.0) ||
      !none_below(out.labelled_mass_, 0.0) || !none_below(sums, kAny) ||
      !none_below(out.prior_, kAny)) {
    throw FileError("model file: the representatives' numbers are not possible ones");
  }
  representatives.label_sums =
      Eigen::Map<const Matrix<double>>(sums.data(), k, static_cast<Index>(out.prior_.size()));
  representatives.cases = Eigen::Map<const Matrix<std::int64_t>>(
      cases.data(), k, static_cast<Index>(cases.size() / size));
  out.index();
  return out;
}

}  // namespace ecseq::relation
