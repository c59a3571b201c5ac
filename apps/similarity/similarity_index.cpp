#include <kindred/apps/analysis/neighbours.h>
#include <kindred/apps/similarity/similarity_index.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace kindred {
namespace {

constexpr int most_tries_to_open = 20;
constexpr float most_cosine = 1.01f;  // rounding; more is damage

bool is_nearer(const FoundImage& a, const FoundImage& b) {
  return a.similarity != b.similarity ? a.similarity > b.similarity : a.row < b.row;
}

}  // namespace

SimilarityIndex::SimilarityIndex(std::filesystem::path folder, IndexContent content)
    : folder_(std::move(folder)), content_(std::move(content)) {
  std::int64_t first = 0;
  for (const IndexSegment& segment : content_.segments) {
    segments_.push_back(std::make_shared<const OpenSegment>(folder_, segment, content_.dim));
    first_rows_.push_back(first);
    first += segment.rows;
  }
  if (content_.arranged)
    arranged_ = std::make_shared<third_party::VectorIndex>(open_arranged(folder_, content_));
}

// A merge removes files that index.json does not name any more. Whoever has read the earlier index.json then begins again.
SimilarityIndex SimilarityIndex::open(const std::filesystem::path& folder) {
  for (int tries = 1;; ++tries) {
    const std::string text = index_text(folder);
    try {
      return SimilarityIndex(folder, parse_index(folder, text));
    } catch (const Error&) {
      if (tries == most_tries_to_open || index_text(folder) == text) throw;
    }
  }
}

std::pair<const OpenSegment*, std::int64_t> SimilarityIndex::find(std::int64_t row) const {
  check(row >= 0 && row < rows(), ExitCode::internal, "row {} of an index of {}", row, rows());
  const auto after = std::upper_bound(first_rows_.begin(), first_rows_.end(), row);
  const auto at = static_cast<std::size_t>(after - first_rows_.begin()) - 1;
  return {segments_[at].get(), row - first_rows_[at]};
}

IndexedImage SimilarityIndex::image(std::int64_t row) const {
  const auto [segment, at] = find(row);
  return segment->image(at);
}

Image SimilarityIndex::picture(std::int64_t row) const {
  const auto [segment, at] = find(row);
  return segment->picture(at);
}

std::span<const float> SimilarityIndex::row(std::int64_t row) const {
  const auto [segment, at] = find(row);
  return segment->features().subspan(static_cast<std::size_t>(at * dim()), static_cast<std::size_t>(dim()));
}

void SimilarityIndex::set_effort(const third_party::SearchEffort& effort) {
  check(arranged_ != nullptr, ExitCode::usage,
        "{}: its images are compared one by one, so there is nothing to set", folder_.string());
  arranged_->set_effort(effort);
}

// Bytes of large files are not compared with their checksums, so features may be anything.
Neighbours SimilarityIndex::nearest_in(const OpenSegment& bank, std::span<const float> queries,
                                       std::int64_t each) const {
  try {
    return nearest(bank.features(), queries, dim(), std::min(each, bank.rows()));
  } catch (const Error& error) {
    if (error.code() != ExitCode::internal) throw;
    fail(ExitCode::file, "{}: its features cannot be compared ({}); {}", folder_.string(), error.what(),
         advice_for_damaged_index(folder_));
  }
}

void SimilarityIndex::search_segment(std::size_t segment, std::span<const float> queries, std::int64_t each,
                                     std::vector<FoundImages>& found) const {
  const OpenSegment& bank = *segments_[segment];
  const Neighbours nearest_rows = nearest_in(bank, queries, each);
  for (std::size_t q = 0; q < found.size(); ++q) {
    const auto rows_found = nearest_rows.rows_of(static_cast<std::int64_t>(q));
    const auto similarity = nearest_rows.similarity_of(static_cast<std::int64_t>(q));
    for (std::size_t i = 0; i < rows_found.size(); ++i) {
      check(rows_found[i] >= 0 && rows_found[i] < bank.rows() && std::abs(similarity[i]) <= most_cosine,
            ExitCode::file, "{}: its features are not of unit length; {}", folder_.string(),
            advice_for_damaged_index(folder_));
      found[q].push_back({first_rows_[segment] + rows_found[i], similarity[i]});
    }
  }
}

// FAISS's codes may hold less than the features, so what it has found is compared again.
void SimilarityIndex::search_arranged(std::span<const float> queries, std::int64_t each,
                                      std::vector<FoundImages>& found) const {
  const std::int64_t most = std::min(each, content_.arranged->rows);
  const third_party::FoundRows rows_found = arranged_->search(queries, most);
  const auto width = static_cast<std::size_t>(dim());
  for (std::size_t q = 0; q < found.size(); ++q) {
    const std::span<const float> query = queries.subspan(q * width, width);
    for (std::size_t i = q * static_cast<std::size_t>(most); i < (q + 1) * static_cast<std::size_t>(most);
         ++i) {
      const std::int64_t at = rows_found.rows[i];
      if (at < 0) continue;  // it has found fewer
      check(at < content_.arranged->rows, ExitCode::file, "{}: it names a row that is not there; {}",
            (folder_ / content_.arranged->file.name).string(), advice_for_damaged_index(folder_));
      const std::span<const float> values = row(at);
      double exact = 0;
      for (std::size_t d = 0; d < width; ++d) exact += double(query[d]) * double(values[d]);
      check(std::abs(exact) <= most_cosine, ExitCode::file, "{}: its features are not of unit length; {}",
            folder_.string(), advice_for_damaged_index(folder_));  // not: of a NaN too
      found[q].push_back({at, static_cast<float>(exact)});
    }
  }
}

std::vector<FoundImages> SimilarityIndex::search(std::span<const float> queries, std::int64_t each) const {
  check(each >= 1 && queries.size() % static_cast<std::size_t>(dim()) == 0, ExitCode::internal,
        "{} values are not queries of {}", queries.size(), dim());
  std::vector<FoundImages> found(queries.size() / static_cast<std::size_t>(dim()));
  if (found.empty()) return found;
  const std::int64_t arranged_rows = content_.arranged ? content_.arranged->rows : 0;
  if (arranged_) search_arranged(queries, each, found);
  for (std::size_t segment = 0; segment < segments_.size(); ++segment)
    if (first_rows_[segment] >= arranged_rows) search_segment(segment, queries, each, found);
  for (FoundImages& of_query : found) {
    std::sort(of_query.begin(), of_query.end(), is_nearer);
    if (std::ssize(of_query) > each) of_query.resize(static_cast<std::size_t>(each));
    for (FoundImage& image : of_query) image.similarity = std::clamp(image.similarity, -1.0f, 1.0f);
  }
  return found;
}

void SimilarityIndex::check_all() const {
  for (const auto& segment : segments_) segment->check_all();
  if (content_.arranged) check_arranged(folder_, content_.arranged->file);
}

}  // namespace kindred
