#include <gtest/gtest.h>

#include "ecseq/autograd/operations.hpp"
#include "expect_refused.hpp"
#include "gradient_case.hpp"

namespace ecseq {

using autograd::RowGradients;
using autograd::Tape;
using testing::expect_gradients;
using testing::expect_refused;
using testing::Input;
using testing::Node;
using testing::random_matrix;
using Nodes = std::vector<Node>;
using Rows = std::vector<Index>;

ECSEQ_GRADIENT_CASE(autograd::SliceRows) {
  for (const auto& [begin, count] : {std::pair<Index, Index>{0, 5}, {0, 1}, {4, 1}, {1, 3}}) {
    expect_gradients({random_matrix(5, 3, 1)},
                     [b = begin, c = count](Tape<double>&, const Nodes& in) {
                       return autograd::slice_rows(in[0], b, c);
                     });
  }
}

ECSEQ_GRADIENT_CASE(autograd::SliceColumns) {
  for (const auto& [begin, count] : {std::pair<Index, Index>{0, 5}, {0, 1}, {4, 1}, {1, 3}}) {
    expect_gradients({random_matrix(3, 5, 1)},
                     [b = begin, c = count](Tape<double>&, const Nodes& in) {
                       return autograd::slice_columns(in[0], b, c);
                     });
  }
}

ECSEQ_GRADIENT_CASE(autograd::GatherRows) {
  for (const Rows& rows : {Rows{3}, Rows{2, 0, 2, 2, 4}}) {
    expect_gradients({random_matrix(5, 3, 1)}, [&](Tape<double>&, const Nodes& in) {
      return autograd::gather_rows(in[0], std::span<const Index>(rows));
    });
  }
}

ECSEQ_GRADIENT_CASE(autograd::ScatterAddRows) {
  for (const Rows& rows : {Rows{3}, Rows{2, 0, 2, 2, 4}}) {
    expect_gradients({random_matrix(static_cast<Index>(rows.size()), 3, 1)},
                     [&](Tape<double>&, const Nodes& in) {
                       return autograd::scatter_add_rows(in[0], std::span<const Index>(rows), 6);
                     });
  }
}

namespace {

/// Brings the gradient of rows into the table's own, where the comparison looks for it. Recorded
/// before the look-ups, so that its backward pass comes after theirs.
class CollectRows final : public autograd::Operation<double> {
 public:
  CollectRows(Node table, const RowGradients<double>& rows) : table_(table), rows_(rows) {}
  void forward(autograd::Values<double> y) override { y.setZero(); }
  void backward(autograd::ConstValues<double>, autograd::ConstValues<double>) override {
    rows_.add_to(table_.gradient().data());
  }

 private:
  Node table_;
  const RowGradients<double>& rows_;
};

}  // namespace

ECSEQ_GRADIENT_CASE(autograd::Embedding) {
  const Rows first{4, 1, 4, 0, 4}, second{2, 4, 5, 1, 2};
  expect_gradients({random_matrix(7, 3, 1)}, [&, sink = RowGradients<double>(3)](
                                                 Tape<double>& tape, const Nodes& in) mutable {
    sink.clear();
    tape.apply<CollectRows>(1, 1, true, in[0], sink);
    const MatrixView<double> table(in[0].value().data(), 7, 3);
    return autograd::subtract(
        autograd::embedding(tape, table, std::span<const Index>(first), &sink),
        autograd::exp(autograd::embedding(tape, table, std::span<const Index>(second), &sink)));
  });
}

namespace {

TEST(RowOperations, Values) {
  Tape<double> tape;
  const Input x = random_matrix(5, 4, 1);
  const Node node = tape.constant(x);
  EXPECT_EQ(autograd::slice_rows(node, 1, 3).value(), x.middleRows(1, 3));
  EXPECT_EQ(autograd::slice_columns(node, 3, 1).value(), x.rightCols(1));
  EXPECT_EQ(autograd::slice_columns(node, 2, 0).cols(), 0);
  const Rows rows{4, 0, 4, 1, 0};
  const Node gathered = autograd::gather_rows(node, std::span<const Index>(rows));
  const Node scattered = autograd::scatter_add_rows(node, std::span<const Index>(rows), 6);
  const Node looked_up = autograd::embedding<double>(tape, x, rows, nullptr);
  Input expected = Input::Zero(6, 4);
  for (Index i = 0; i < 5; ++i) {
    EXPECT_EQ(gathered.value().row(i), x.row(rows[static_cast<std::size_t>(i)]));
    expected.row(rows[static_cast<std::size_t>(i)]) += x.row(i);
  }
  EXPECT_EQ(scattered.value(), expected);
  EXPECT_EQ(looked_up.value(), gathered.value());
  EXPECT_FALSE(looked_up.needs_gradient());
  EXPECT_EQ(autograd::gather_rows(node, {}).rows(), 0);
}

TEST(RowOperations, RowsThatWereNotTakenAreNotWritten) {
  const Input table = random_matrix(1000, 2, 1);
  const Rows rows{998, 3, 998};
  // Memory for the touched rows alone is enough: a write elsewhere is a fault under a sanitizer.
  RowGradients<double> sparse(2);
  {
    Tape<double> tape;
    const Node y = autograd::embedding<double>(tape, table, rows, &sparse);
    tape.backward(tape.apply<testing::WeightedSum>(1, 1, true, y));
  }
  ASSERT_EQ(Rows(sparse.rows().begin(), sparse.rows().end()), (Rows{3, 998}));
  Input dense = Input::Constant(1000, 2, std::nan("")), gathered = dense;
  for (Input* gradient : {&dense, &gathered}) {
    gradient->row(3).setZero();
    gradient->row(998).setZero();
  }
  sparse.add_to(dense.data());
  Tape<double> tape;
  const Node y =
      autograd::gather_rows(tape.leaf(table, gathered.data()), std::span<const Index>(rows));
  tape.backward(tape.apply<testing::WeightedSum>(1, 1, true, y));
  for (const Index row : {3, 998}) EXPECT_EQ(dense.row(row), gathered.row(row));
  EXPECT_EQ(dense.array().isNaN().count(), 2 * 998);
  EXPECT_EQ(gathered.array().isNaN().count(), 2 * 998);
}

TEST(RowGradientsTest, SumsOfShardsAreTheDenseSum) {
  Rng rng(5);
  RowGradients<double> all(3);
  Input expected = Input::Zero(20, 3);
  for (int shard = 0; shard < 6; ++shard) {
    RowGradients<double> part(3);
    Rows rows;
    for (Index row = 0; row < 20; ++row) {
      if (rng.uniform() < 0.3) rows.push_back(row);
    }
    const Input values =
        random_matrix(static_cast<Index>(rows.size()), 3, static_cast<std::uint64_t>(shard));
    part.add(rows, values.data());
    all.add(part);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      expected.row(rows[i]) += values.row(static_cast<Index>(i));
    }
  }
  Input dense = Input::Zero(20, 3);
  all.add_to(dense.data());
  EXPECT_EQ(dense, expected);
  EXPECT_TRUE(std::is_sorted(all.rows().begin(), all.rows().end()));
  all.clear();
  EXPECT_TRUE(all.rows().empty());
}

TEST(RowOperations, WrongArgumentsAreRefusedByName) {
  Tape<double> tape;
  const Node x = tape.constant(4, 3);
  const Input table = random_matrix(4, 3, 1);
  const Rows rows{0, 4}, negative{-1, 0, 0, 0};
  RowGradients<double> narrow(2);
  expect_refused([&] { autograd::gather_rows(x, std::span<const Index>(rows)); },
                 "rows[1]: expected a row number below 4, got 4");
  expect_refused([&] { autograd::embedding<double>(tape, table, rows, nullptr); },
                 "rows[1]: expected a row number below 4, got 4");
  expect_refused([&] { autograd::embedding<double>(tape, table, {}, &narrow); },
                 "gradients: expected rows of 3 values, got 2");
  expect_refused([&] { autograd::scatter_add_rows(x, std::span<const Index>(rows), 9); },
                 "rows: expected 4 values, got 2");
  expect_refused([&] { autograd::scatter_add_rows(x, std::span<const Index>(negative), 9); },
                 "rows[0]: expected a row number below 9, got -1");
  expect_refused([&] { autograd::slice_rows(x, 3, 2); },
                 "begin, count: expected a range within 4 rows, got begin 3, count 2");
  expect_refused([&] { autograd::slice_columns(x, -1, 2); },
                 "begin, count: expected a range within 3 columns, got begin -1, count 2");
}

}  // namespace
}  // namespace ecseq
