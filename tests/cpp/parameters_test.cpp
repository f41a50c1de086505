#include "ecseq/nn/parameters.hpp"

#include <gtest/gtest.h>

#include "expect_refused.hpp"

namespace ecseq::nn {
namespace {

using testing::expect_refused;

/// The numbers first, first + 1, ...
std::shared_ptr<const float> numbers(Index count, float first) {
  const auto values = std::make_shared<std::vector<float>>();
  for (Index i = 0; i < count; ++i) values->push_back(first + static_cast<float>(i));
  return {values, values->data()};
}

/// A [2, 3] matrix of ones and a [1, 2] one of drawn numbers.
void declare(Parameters<float>& parameters, Rng& rng) {
  parameters.add_with("ones", 2, 3, [](float* values) { std::fill_n(values, 6, 1.0F); });
  parameters.add_uniform("drawn", 1, 2, 0.5, rng);
}

TEST(Parameters, LieInOneFlatVectorInTheirOrder) {
  Rng rng(1);
  Parameters<float> parameters;
  declare(parameters, rng);
  EXPECT_EQ(parameters.size(), 8);
  ASSERT_EQ(parameters.flat().size(), 8u);
  EXPECT_EQ(parameters.data(1), parameters.flat().data() + 6);
  EXPECT_EQ(parameters.view(0)(1, 2), 1.0F);
  EXPECT_NE(parameters.view(1)(0, 0), 0.0F);
  EXPECT_LE(std::abs(parameters.view(1)(0, 0)), 0.5F);
  EXPECT_EQ(parameters.find("drawn"), 1);
  expect_refused([&] { parameters.find("none"); }, "no parameter is called 'none'");
  parameters.give(0, numbers(6, 10));  // copied
  EXPECT_EQ(parameters.flat()[5], 15.0F);
  EXPECT_EQ(parameters.values(), parameters.flat());
}

TEST(Parameters, OfAFileStayWhereTheyLieUntilTheyAreWritten) {
  Rng rng(1);
  const auto as_before = Rng(1).uniform();
  Parameters<float> parameters = Parameters<float>::of_file(8);
  declare(parameters, rng);
  EXPECT_EQ(rng.uniform(), as_before) << "nothing is drawn for numbers that will be given";
  const auto first = numbers(6, 10), second = numbers(2, 20);
  parameters.give(0, first);
  parameters.give(1, second);
  const Parameters<float>& read_only = parameters;
  EXPECT_EQ(read_only.data(0), first.get());
  EXPECT_EQ(read_only.view(1).data, second.get());
  EXPECT_EQ(read_only.shared(1), second);
  const std::vector<float> all{10, 11, 12, 13, 14, 15, 20, 21};
  EXPECT_EQ(read_only.values(), all);

  const Parameters<float> copy = parameters;  // of the same numbers
  EXPECT_EQ(copy.data(0), first.get());
  parameters.writable(1)[0] = -1.0F;
  EXPECT_EQ(parameters.flat(), (std::vector<float>{10, 11, 12, 13, 14, 15, -1, 21}));
  EXPECT_EQ(read_only.data(1), parameters.flat().data() + 6);
  EXPECT_EQ(second.get()[0], 20.0F);
  EXPECT_EQ(copy.values(), all);
  EXPECT_NE(read_only.shared(1).get(), read_only.data(1)) << "a copy, as these may change";
}

TEST(Parameters, OfAFileAreNotMuchLargerThanIt) {
  Parameters<float> parameters = Parameters<float>::of_file(10);
  expect_refused([&] { parameters.add("huge", Index{1} << 40, Index{1} << 40); },
                 "parameter 'huge': no room for [1099511627776, 1099511627776] numbers");
  EXPECT_EQ(parameters.add("a little larger", 11, 1), 0);
}

}  // namespace
}  // namespace ecseq::nn
