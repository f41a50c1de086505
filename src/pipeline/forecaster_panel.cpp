#include "forecaster_panel.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ecseq/core/error.hpp"
#include "ecseq/core/sequences.hpp"

namespace ecseq::pipeline {
namespace {

/// Share of the median series' standard deviation that is added to each: a series that hardly
/// moved while training must not explode when it does.
constexpr double kFloor = 0.1;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

struct Moments {
  double mean = 0.0;
  double std = 0.0;
  Index known = 0;
};

/// Of the known values x[first], x[first + stride], ...
template <class Known>
Moments moments_of(const Known& each) {
  Moments out;
  double sum = 0.0, squares = 0.0;
  each([&](double x) {
    sum += x;
    ++out.known;
  });
  if (out.known == 0) return out;
  out.mean = sum / static_cast<double>(out.known);
  each([&](double x) { squares += (x - out.mean) * (x - out.mean); });
  out.std = std::sqrt(squares / static_cast<double>(out.known));
  if (out.std <= 1e-6 * std::max(1e-30, std::abs(out.mean))) out.std = 0.0;
  return out;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

SeriesScale SeriesScale::fit(const SeriesData& data, Index rows, const ForecasterOptions& options) {
  SeriesScale out;
  out.channels = data.channels;
  const Index columns = data.values.cols, channels = data.channels;
  std::vector<Moments> columns_of(at(columns));
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (Index j = 0; j < columns; ++j) {
    columns_of[at(j)] = moments_of([&](const auto& take) {
      for (Index t = 0; t < rows; ++t) {
        if (!std::isnan(data.values(t, j))) take(static_cast<double>(data.values(t, j)));
      }
    });
    if (columns_of[at(j)].known < rows) out.has_missing = true;
    for (Index t = 0; t < rows; ++t) {
      const auto x = static_cast<double>(data.values(t, j));
      if (std::isnan(x)) continue;
      low = std::min(low, x);
      high = std::max(high, x);
    }
  }
  out.mean.resize(columns);
  out.std.resize(columns);
  out.start = RowVector<float>::Zero(columns);
  if (options.scaling == "range") {
    out.mean.setConstant(static_cast<float>(low));
    out.std.setConstant(high > low ? static_cast<float>(high - low) : 1.0F);
    for (Index j = 0; j < columns; ++j) {
      const auto& column = columns_of[at(j)];
      if (column.known > 0) {
        out.start[j] = (static_cast<float>(column.mean) - out.mean[j]) / out.std[j];
      }
    }
  } else {
    out.level_mean.resize(channels);
    out.level_std.resize(channels);
    for (Index c = 0; c < channels; ++c) {
      std::vector<double> stds;
      const Moments all = moments_of([&](const auto& take) {
        for (Index j = c; j < columns; j += channels) {
          for (Index t = 0; t < rows; ++t) {
            if (!std::isnan(data.values(t, j))) take(static_cast<double>(data.values(t, j)));
          }
        }
      });
      for (Index j = c; j < columns; j += channels) {
        if (columns_of[at(j)].std > 0) stds.push_back(columns_of[at(j)].std);
      }
      const double typical = stds.empty() ? 1.0 : median(stds);
      out.level_mean[c] = static_cast<float>(all.mean);
      out.level_std[c] = static_cast<float>(all.std > 0 ? all.std : 1.0);
      for (Index j = c; j < columns; j += channels) {
        const Moments& column = columns_of[at(j)];
        out.mean[j] = static_cast<float>(column.known > 0 ? column.mean : all.mean);
        out.std[j] = static_cast<float>(column.std + kFloor * typical);
      }
    }
  }
  if (!data.exogenous.empty()) {
    out.exogenous = nn::Scaler::fit({data.exogenous.data, rows, data.exogenous.cols});
  }
  return out;
}

void SeriesScale::save(io::TensorFile& file, const std::string& prefix) const {
  file.integers[prefix + "layout"] = {channels, has_missing ? 1 : 0};
  file.floats[prefix + "mean"] = mean;
  file.floats[prefix + "std"] = std;
  file.floats[prefix + "start"] = start;
  if (has_level()) {
    file.floats[prefix + "level_mean"] = level_mean;
    file.floats[prefix + "level_std"] = level_std;
  }
  if (exogenous.size() > 0) {
    file.floats[prefix + "exogenous_mean"] = exogenous.mean;
    file.floats[prefix + "exogenous_scale"] = exogenous.inverse_std;
  }
}

SeriesScale SeriesScale::load(const io::TensorFile& file, const std::string& prefix) {
  const auto refuse = [&](const std::string& name, const char* what) {
    throw FileError("model file: tensor '" + prefix + name + "' " + what);
  };
  // size: how many it must hold; -1 for any number but 0, and 0 if it may be absent.
  const auto get = [&](const char* name, Index size) -> RowVector<float> {
    const auto found = file.floats.find(prefix + name);
    if (found == file.floats.end()) refuse(name, "is missing");
    const MatrixView<float> tensor = found->second;
    const bool fits = tensor.rows == 1 && (size < 0 ? tensor.cols > 0 : tensor.cols == size);
    if (!fits || !tensor.eigen().allFinite()) refuse(name, "has the wrong shape or is not finite");
    return tensor.eigen().row(0);
  };
  const auto has = [&](const char* name) { return file.floats.count(prefix + name) > 0; };
  SeriesScale out;
  const auto layout = file.integers.find(prefix + "layout");
  if (layout == file.integers.end() || layout->second.size() != 2 || layout->second[0] < 1) {
    refuse("layout", "is missing or wrong");
  }
  out.channels = layout->second[0];
  out.has_missing = layout->second[1] != 0;
  out.mean = get("mean", -1);
  out.std = get("std", out.mean.size());
  out.start = get("start", out.mean.size());
  if (out.mean.size() % out.channels != 0) refuse("mean", "does not hold whole series");
  for (Index j = 0; j < out.std.size(); ++j) {
    if (!(out.std[j] > 0)) refuse("std", "holds a scale that is not positive");
  }
  if (has("level_mean")) {
    out.level_mean = get("level_mean", out.channels);
    out.level_std = get("level_std", out.channels);
    if (!(out.level_std.array() > 0).all())
      refuse("level_std", "holds a scale that is not positive");
  }
  if (has("exogenous_mean")) {
    out.exogenous.mean = get("exogenous_mean", -1);
    out.exogenous.inverse_std = get("exogenous_scale", out.exogenous.mean.size());
  }
  return out;
}

Panel::Panel(const SeriesScale& scale, const SeriesData& data, Index first)
    : scale_(scale),
      first_(first),
      steps_(data.steps()),
      values_(data.series(), data.steps() * scale.channels),
      known_(static_cast<std::size_t>(values_.size())) {
  const Index c = channels();
  for (Index s = 0; s < series(); ++s) {
    for (Index j = 0; j < c; ++j) {
      const Index column = number(s) * c + j;
      float last = scale.start[column];
      for (Index t = 0; t < steps_; ++t) {
        const float x = data.values(t, s * c + j);
        const Index cell = (s * steps_ + t) * c + j;
        known_[at(cell)] = !std::isnan(x);
        if (!std::isnan(x)) last = (x - scale.mean[column]) / scale.std[column];
        values_.data()[cell] = last;
      }
    }
  }
  if (scale.exogenous.size() > 0) exogenous_ = scale.exogenous.apply(data.exogenous);
  if (!scale.has_level()) return;
  level_slope_.resize(scale.mean.size());
  level_shift_.resize(scale.mean.size());
  for (Index j = 0; j < scale.mean.size(); ++j) {
    level_slope_[j] = scale.std[j] / scale.level_std[j % c];
    level_shift_[j] = (scale.mean[j] - scale.level_mean[j % c]) / scale.level_std[j % c];
  }
}

void Panel::write_event(Index s, Index row, float* out) const {
  const Index c = channels();
  const float* x = values(s, row);
  out = std::copy_n(x, c, out);
  if (scale_.has_missing) {
    for (Index j = 0; j < c; ++j) *out++ = known(s, row, j) ? 1.0F : 0.0F;
  }
  if (scale_.has_level()) {
    for (Index j = 0; j < c; ++j) {
      const Index column = number(s) * c + j;
      *out++ = level_slope_[column] * x[j] + level_shift_[column];
    }
  }
  if (scale_.exogenous.size() > 0) {
    std::copy_n(exogenous(row + 1), scale_.exogenous.size(), out);
  }
}

void require_data(const SeriesData& data, Index series, Index channels, Index features,
                  Index exogenous_rows) {
  const auto number = [](Index n) { return std::to_string(n); };
  if (data.channels != channels || data.values.cols != series * channels) {
    throw InvalidArgument("Y: expected " + number(series) + " series of " + number(channels) +
                          " channels, got " + number(data.values.cols / data.channels) + " of " +
                          number(data.channels));
  }
  for (Index t = 0; t < data.steps(); ++t) {
    for (Index j = 0; j < data.values.cols; ++j) {
      if (!std::isinf(data.values(t, j))) continue;
      throw InvalidArgument("Y: value at step " + number(t) + ", series " + number(j / channels) +
                            " is infinite; a missing one is NaN");
    }
  }
  if (data.exogenous.cols != features) {
    throw InvalidArgument("exogenous: expected " + number(features) + " features, got " +
                          number(data.exogenous.cols));
  }
  if (features == 0) return;
  if (data.exogenous.rows < exogenous_rows) {
    throw InvalidArgument("exogenous: expected " + number(exogenous_rows) +
                          " rows, one for each step read or forecast, got " +
                          number(data.exogenous.rows));
  }
  require_finite(data.exogenous, "exogenous");
}

}  // namespace ecseq::pipeline
