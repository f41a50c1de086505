#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>

#include "ecseq/autograd/operations/add.hpp"
#include "ecseq/autograd/operations/gather_rows.hpp"
#include "ecseq/autograd/operations/segments.hpp"

namespace ecseq::nn {

/// Position encodings (Vaswani et al. 2017, 3.5): for position t and column j,
///   sin(t / 10000^(j / width)) where j is even, cos(t / 10000^((j - 1) / width)) where it is odd.
/// table: [length, width], written
template <class Scalar>
void sinusoidal_positions(Index length, Index width, Scalar* table) {
  for (Index t = 0; t < length; ++t) {
    for (Index j = 0; j < width; ++j) {
      const double exponent = static_cast<double>(j - j % 2) / static_cast<double>(width);
      const double angle = static_cast<double>(t) / std::pow(10000.0, exponent);
      table[t * width + j] = static_cast<Scalar>(j % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  }
}

/// x with the row of its position in the sequence added to each event. table: [positions, width],
/// sinusoidal or learned; x: [events, width], sequence after sequence; offsets: [sequences + 1]
template <class Scalar>
autograd::Variable<Scalar> add_positions(autograd::Variable<Scalar> x,
                                         std::span<const Index> offsets,
                                         autograd::Variable<Scalar> table) {
  const autograd::Segments sequences = autograd::require_segments(offsets, x.rows(), "offsets");
  autograd::require_shape(table, table.rows(), x.cols(), "table");
  auto* positions = x.tape().template scratch_of<Index>(x.rows());
  for (Index s = 0; s < sequences.size(); ++s) {
    if (sequences.length(s) > table.rows()) {
      throw InvalidArgument("table: expected a row for each of the " +
                            std::to_string(sequences.length(s)) + " events of sequence " +
                            std::to_string(s) + ", got " + std::to_string(table.rows()));
    }
    for (Index i = sequences.begin(s); i < sequences.end(s); ++i) {
      positions[i] = i - sequences.begin(s);
    }
  }
  const std::span<const Index> rows(positions, static_cast<std::size_t>(x.rows()));
  return autograd::add(x, autograd::gather_rows(table, rows));
}

}  // namespace ecseq::nn
