#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <thread>

#include "ecseq/ecseq.h"
#include "ecseq/serving/live_scorer.hpp"
#include "event_stream.hpp"
#include "temporary_folder.hpp"

namespace ecseq::serving {
namespace {

/// A folder with a model file in it.
class CApi : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    fitted = new Fitted;
    folder = new testing::TemporaryFolder;
    fitted->model.save(model_path());
  }
  static void TearDownTestSuite() {
    delete folder;
    delete fitted;
  }
  static std::string model_path() { return folder->file("model.ecseq"); }
  static ecseq_event event_at(Index i, ecseq_keys& keys) {
    keys = {&fitted->future.terminal[static_cast<std::size_t>(i)], 1};
    return {sizeof(ecseq_event),
            fitted->future.values.row(i).data(),
            2,
            fitted->future.time[static_cast<std::size_t>(i)],
            &keys,
            1};
  }

  static Fitted* fitted;
  static testing::TemporaryFolder* folder;
};
Fitted* CApi::fitted = nullptr;
testing::TemporaryFolder* CApi::folder = nullptr;

TEST_F(CApi, ScoresAsTheCppInterface) {
  ecseq_scorer* scorer = nullptr;
  ASSERT_EQ(ecseq_scorer_load(model_path().c_str(), 0, &scorer), ECSEQ_OK) << ecseq_last_error();
  EXPECT_EQ(ecseq_abi_version(), static_cast<std::uint32_t>(ECSEQ_ABI_VERSION));
  EXPECT_STREQ(ecseq_version(), ECSEQ_VERSION);
  EXPECT_EQ(ecseq_scorer_n_outputs(scorer), 1U);
  EXPECT_EQ(ecseq_scorer_n_features(scorer), 2U);
  ASSERT_EQ(ecseq_scorer_n_entities(scorer), 1U);
  EXPECT_STREQ(ecseq_scorer_entity_name(scorer, 0), "terminal");
  EXPECT_EQ(ecseq_scorer_entity_name(scorer, 1), nullptr);

  const Scorer expected(fitted->model);
  const SequencesView all = fitted->windows[2];
  State state = expected.start(5);
  std::vector<std::byte> block(ecseq_state_size(scorer)), stored(block.size());
  ASSERT_EQ(block.size(), expected.state_size());
  ASSERT_EQ(ecseq_state_start(scorer, 5, block.data(), block.size()), ECSEQ_OK);
  for (Index i = 0; i < 30; ++i) {
    ecseq_keys c_keys;
    std::span<const relation::EntityKey> keys;
    const ecseq_event event = event_at(i, c_keys);
    float value = -1.0F;
    ASSERT_EQ(ecseq_state_update(scorer, block.data(), block.size(), &event, &value, 1), ECSEQ_OK);
    EXPECT_EQ(value, expected.update(state, event_of(fitted->future, i, keys)));
    ASSERT_EQ(ecseq_state_to_bytes(scorer, block.data(), block.size(), stored.data()), ECSEQ_OK);
    EXPECT_EQ(stored, state.bytes());
    ASSERT_EQ(ecseq_state_from_bytes(scorer, stored.data(), stored.size(), block.data()), ECSEQ_OK);

    const ecseq_request request{sizeof(ecseq_request),
                                all.events(i),
                                static_cast<std::size_t>(all.length(i)),
                                2,
                                nullptr,
                                event.time,
                                &c_keys,
                                1};
    ASSERT_EQ(ecseq_score(scorer, &request, &value, 1), ECSEQ_OK);
    EXPECT_EQ(value,
              expected.score({{all.events(i), all.length(i), 2}, {}, event.time, {&keys, 1}}));
  }
  stored[60] ^= std::byte{1};
  EXPECT_EQ(ecseq_state_from_bytes(scorer, stored.data(), stored.size(), block.data()),
            ECSEQ_FILE_ERROR);
  ecseq_scorer_free(scorer);
}

TEST_F(CApi, MapsTheModelFileOrReadsIt) {
  const auto is_mapped = [&] {
    std::ifstream maps("/proc/self/maps");
    const std::string all{std::istreambuf_iterator<char>(maps), {}};
    return all.find(model_path()) != std::string::npos;
  };
  if (!std::filesystem::exists("/proc/self/maps"))
    GTEST_SKIP() << "Linux alone says what is mapped";
  ecseq_live_options options{};
  options.struct_size = sizeof options;
  for (const bool reads : {false, true}) {
    options.reads_model_file = reads ? 1 : 0;
    ecseq_live* live = nullptr;
    ASSERT_EQ(ecseq_live_open(model_path().c_str(), &options, &live), ECSEQ_OK);
    EXPECT_EQ(is_mapped(), !reads);
    EXPECT_EQ(ecseq_live_reload(live, model_path().c_str()), ECSEQ_OK);
    EXPECT_EQ(is_mapped(), !reads);
    ecseq_live_free(live);
    EXPECT_FALSE(is_mapped());
  }
}

TEST_F(CApi, KeepsALiveModel) {
  ecseq_live* live = nullptr;
  ecseq_live_options options{};
  options.struct_size = sizeof options;
  options.window = kWindow;
  ASSERT_EQ(ecseq_live_open(model_path().c_str(), &options, &live), ECSEQ_OK) << ecseq_last_error();
  LiveOptions same;
  same.scorer.window = kWindow;
  LiveScorer expected(Scorer(fitted->model, same.scorer), same);
  Workspace workspace;
  for (Index i = 0; i < 100; ++i) {
    const auto user = fitted->future.user[static_cast<std::size_t>(i)];
    ecseq_keys c_keys;
    std::span<const relation::EntityKey> keys;
    const ecseq_event event = event_at(i, c_keys);
    float value = -1.0F;
    ASSERT_EQ(ecseq_live_event(live, user, std::uint64_t(i), &event, &value, 1), ECSEQ_OK);
    EXPECT_EQ(
        value,
        expected.on_event(user, event_of(fitted->future, i, keys), std::uint64_t(i), workspace)
            .value());
    if (i < 20) continue;
    const double now = event.time + 8 * kDay;
    ASSERT_EQ(ecseq_live_label(live, std::uint64_t(i - 20), 1.0, now), ECSEQ_OK);
    ASSERT_TRUE(expected.label(std::uint64_t(i - 20), 1.0, now));
    EXPECT_EQ(ecseq_live_label(live, std::uint64_t(i - 20), 1.0, now), ECSEQ_NOT_FOUND);
  }
  ecseq_live_status status{};
  status.struct_size = sizeof status;
  const double now = fitted->future.time[99] + 3.0;
  ASSERT_EQ(ecseq_live_get_status(live, now, &status), ECSEQ_OK);
  EXPECT_EQ(status.model_version, 1U);
  EXPECT_EQ(status.users, expected.current()->users->size());
  EXPECT_EQ(status.waiting_events, 20U);
  EXPECT_NEAR(status.staleness, 3.0, 1e-6);

  ASSERT_EQ(ecseq_live_save(live, folder->path().c_str()), ECSEQ_OK);
  ASSERT_EQ(ecseq_live_restore(live, folder->path().c_str()), ECSEQ_OK) << ecseq_last_error();
  ASSERT_EQ(ecseq_live_reload(live, model_path().c_str()), ECSEQ_OK);
  EXPECT_EQ(ecseq_live_reload(live, "/no/such/file"), ECSEQ_FILE_ERROR);
  ASSERT_EQ(ecseq_live_get_status(live, now, &status), ECSEQ_OK);
  EXPECT_EQ(status.users, expected.current()->users->size());
  EXPECT_EQ(status.waiting_events, 20U);
  ecseq_live_free(live);
}

TEST_F(CApi, FailuresHaveACodeAndAMessageOfTheirThread) {
  ecseq_scorer* scorer = nullptr;
  EXPECT_EQ(ecseq_scorer_load("/no/such/file", 0, &scorer), ECSEQ_FILE_ERROR);
  EXPECT_EQ(scorer, nullptr);
  EXPECT_NE(std::string(ecseq_last_error()).find("/no/such/file"), std::string::npos);
  std::thread([] { EXPECT_STREQ(ecseq_last_error(), ""); }).join();
  EXPECT_EQ(ecseq_scorer_load(nullptr, 0, &scorer), ECSEQ_INVALID_ARGUMENT);
  EXPECT_EQ(ecseq_scorer_load(model_path().c_str(), -1, &scorer), ECSEQ_INVALID_ARGUMENT);
  ASSERT_EQ(ecseq_scorer_load(model_path().c_str(), 0, &scorer), ECSEQ_OK);

  ecseq_keys keys;
  const ecseq_event good = event_at(0, keys);
  std::vector<std::byte> block(ecseq_state_size(scorer));
  ASSERT_EQ(ecseq_state_start(scorer, 1, block.data(), block.size()), ECSEQ_OK);
  const auto before = block;
  float value = 0.0F;
  const auto refused = [&](const ecseq_event* event, float* out, std::size_t n) {
    EXPECT_EQ(ecseq_state_update(scorer, block.data(), block.size(), event, out, n),
              ECSEQ_INVALID_ARGUMENT);
    EXPECT_EQ(block, before);
    EXPECT_NE(std::strlen(ecseq_last_error()), 0U);
  };
  refused(nullptr, &value, 1);
  refused(&good, nullptr, 1);
  refused(&good, &value, 0);
  ecseq_event bad = good;
  bad.struct_size = 8;
  refused(&bad, &value, 1);
  bad = good;
  bad.n_values = 1;
  refused(&bad, &value, 1);
  bad = good;
  bad.entities = nullptr;
  refused(&bad, &value, 1);
  const float nan[2] = {0.0F, std::numeric_limits<float>::quiet_NaN()};
  bad = good;
  bad.values = nan;
  refused(&bad, &value, 1);
  EXPECT_EQ(ecseq_state_start(scorer, 1, block.data(), block.size() - 1), ECSEQ_INVALID_ARGUMENT);
  ecseq_scorer_free(scorer);
  ecseq_scorer_free(nullptr);
  ecseq_live_free(nullptr);
}

TEST(CKeys, AreThoseOfTheLibrary) {
  EXPECT_EQ(ecseq_key_of_text("t4", 2), relation::entity_key("t4"));
  EXPECT_EQ(ecseq_key_of_integer(5), relation::entity_key("5"));
  EXPECT_EQ(ecseq_key_of_text(nullptr, 3), relation::entity_key(""));
  EXPECT_EQ(ecseq_event_id(3, 1.5), event_id(3, 1.5));
}

}  // namespace
}  // namespace ecseq::serving
