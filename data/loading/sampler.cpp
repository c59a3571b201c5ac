#include <kindred/data/loading/sampler.h>
#include <kindred/engine/error.h>
#include <kindred/engine/names.h>
#include <kindred/engine/random/philox.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <span>
#include <unordered_map>
#include <utility>

namespace kindred {
namespace {

constexpr Named<Sampling> samplings[] = {{Sampling::uniform, "uniform"},
                                         {Sampling::inverse_frequency, "inverse-frequency"}};

// Streams of random numbers within one epoch. The plain shuffle uses the stream without a view.
constexpr std::uint32_t group_stream = 1, class_stream = 2, quota_stream = 3;

// The Fisher-Yates shuffle.
template <typename T>
void shuffle(std::vector<T>& values, RandomStream random) {
  for (std::size_t last = values.size(); last-- > 1;)
    std::swap(values[last], values[random.below(static_cast<std::uint32_t>(last + 1))]);
}

std::int64_t divided_up(std::size_t a, std::int64_t b) {
  return (static_cast<std::int64_t>(a) + b - 1) / b;
}

}  // namespace

const char* name(Sampling sampling) {
  return name_of(samplings, sampling);
}

Sampling parse_sampling(const std::string& text) {
  if (const auto sampling = value_named(samplings, text)) return *sampling;
  fail(ExitCode::usage, "unknown sampling {}: expected {}", text, names_of(samplings, " or "));
}

Sampler::Sampler(const std::vector<std::int32_t>& labels, int classes, const SamplerOptions& options)
    : options_(options), members_(static_cast<std::size_t>(classes)) {
  check(!labels.empty() && labels.size() <= std::numeric_limits<std::uint32_t>::max(), ExitCode::usage,
        "a data set of {} images cannot be sampled", labels.size());
  check(options.per_class >= 1, ExitCode::usage, "{} images of a class together: expected 1 or more",
        options.per_class);
  check(options.per_class == 1 || options.batch_size % options.per_class == 0, ExitCode::usage,
        "{} images of a class together do not divide a batch size of {}: a batch is made of groups of {}",
        options.per_class, options.batch_size, options.per_class);
  check(options.shuffle || is_plain(), ExitCode::internal, "balanced sampling without a shuffle");
  for (std::size_t i = 0; i < labels.size(); ++i)
    members_[static_cast<std::size_t>(labels[i])].push_back(static_cast<std::uint32_t>(i));
  std::erase_if(members_, [](const auto& members) { return members.empty(); });
  for (const auto& members : members_)
    epoch_size_ += options.per_class * divided_up(members.size(), options.per_class);
}

void Sampler::draw(std::uint32_t epoch, std::vector<Draw>& order) const {
  order.resize(static_cast<std::size_t>(epoch_size_));
  if (is_plain())
    draw_shuffle(epoch, order);
  else
    draw_groups(epoch, order);
}

void Sampler::draw_shuffle(std::uint32_t epoch, std::vector<Draw>& order) const {
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = {static_cast<std::uint32_t>(i), 0};
  if (options_.shuffle) shuffle(order, RandomStream(options_.seed, Purpose::shuffle, epoch));
}

// How many groups of per_class images each class contributes to the epoch.
std::vector<std::int64_t> Sampler::groups_of_classes(std::uint32_t epoch) const {
  std::vector<std::int64_t> groups;
  if (options_.sampling == Sampling::uniform) {
    for (const auto& members : members_) groups.push_back(divided_up(members.size(), options_.per_class));
    return groups;
  }
  const auto classes = static_cast<std::int64_t>(members_.size()), all = epoch_size_ / options_.per_class;
  for (std::int64_t c = 0; c < classes; ++c) groups.push_back(all / classes + (c < all % classes));
  shuffle(groups, RandomStream(options_.seed, Purpose::shuffle, epoch, 0, quota_stream));
  return groups;
}

void Sampler::draw_groups(std::uint32_t epoch, std::vector<Draw>& order) const {
  const auto per_class = static_cast<std::size_t>(options_.per_class);
  struct Group {
    std::size_t of_class;
    std::size_t first;  // position in the class's shuffle, which is repeated as often as needed
  };
  const std::vector<std::int64_t> counts = groups_of_classes(epoch);
  std::vector<Group> groups;
  for (std::size_t c = 0; c < members_.size(); ++c)
    for (std::int64_t g = 0; g < counts[c]; ++g) groups.push_back({c, static_cast<std::size_t>(g) * per_class});
  shuffle(groups, RandomStream(options_.seed, Purpose::shuffle, epoch, 0, group_stream));

  std::vector<std::vector<std::uint32_t>> shuffled = members_;
  for (std::size_t c = 0; c < shuffled.size(); ++c)
    shuffle(shuffled[c],
            RandomStream(options_.seed, Purpose::shuffle, epoch, static_cast<std::uint32_t>(c), class_stream));
  std::size_t at = 0;
  for (const Group& group : groups) {
    const std::vector<std::uint32_t>& members = shuffled[group.of_class];
    for (std::size_t place = group.first; place < group.first + per_class; ++place)
      order[at++] = {members[place % members.size()], static_cast<std::uint32_t>(place / members.size())};
  }
}

PositiveStatistics expected_positives(const Sampler& sampler, const std::vector<std::int32_t>& labels,
                                      std::int64_t batch_size, int views) {
  std::vector<Draw> order;
  sampler.draw(0, order);
  const std::size_t rows = std::min(order.size(), static_cast<std::size_t>(batch_size));
  PositiveStatistics statistics;
  std::size_t anchors = 0;  // images; all views of an image have the same number of positives
  std::unordered_map<std::int32_t, std::int64_t> in_batch;
  for (std::size_t first = 0; first + rows <= order.size(); first += rows) {
    in_batch.clear();
    for (const Draw& draw : std::span(order).subspan(first, rows)) ++in_batch[labels[draw.sample]];
    for (const auto& [label, images] : in_batch) {
      statistics.mean += static_cast<double>(images) * static_cast<double>(views * images - 1);
      if (images == 1) statistics.alone += 1;
    }
    anchors += rows;
  }
  statistics.mean /= static_cast<double>(anchors);
  statistics.alone /= static_cast<double>(anchors);
  statistics.without = views == 1 ? statistics.alone : 0;
  return statistics;
}

}  // namespace kindred
