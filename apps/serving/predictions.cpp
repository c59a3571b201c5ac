#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/pages/pictures.h>
#include <kindred/apps/serving/predictions.h>
#include <kindred/apps/serving/requests/multipart.h>
#include <kindred/apps/serving/requests/refused.h>
#include <kindred/apps/serving/requests/request_rules.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>

#include <nlohmann/json.hpp>

#include <new>
#include <utility>
#include <vector>

namespace kindred {
namespace {

constexpr int seconds_until_room = 1;

bool is_parameter_set(const third_party::HttpRequest& request, const std::string& name) {
  const auto at = request.parameters.find(name);
  if (at == request.parameters.end() || at->second == "0") return false;
  if (at->second != "1") throw Refused(400, fmt::format("{}={}: expected 0 or 1", name, one_line(at->second)));
  return true;
}

[[noreturn]] void refuse_for_room() {
  throw Refused(503, "too many images wait already: try again", seconds_until_room);
}

std::span<const std::uint8_t> as_bytes_of_file(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

struct Predictor::Asked {
  bool feature = false, pictures = false;
};

// What became of an image: a result, or words and the status that they have where the image is the whole request.
struct Predictor::Fate {
  std::string picture{};  // as it was prepared, if it was asked for
  std::string problem{};  // of an image that is damaged but readable
  ImageResult result{};
  int status = 200;
  std::string error{};
  int retry_after = 0;

  void take(std::future<ImageResult>& future);
};

void Predictor::Fate::take(std::future<ImageResult>& future) {
  try {
    result = future.get();
  } catch (const OutOfMemory& thrown) {
    status = 503, error = thrown.what(), retry_after = seconds_until_room;
  } catch (const std::bad_alloc&) {
    status = 503, error = "out of memory on the host: try again", retry_after = seconds_until_room;
  } catch (const std::exception& thrown) {
    status = 500, error = one_line(thrown.what());
  }
}

nlohmann::json Predictor::entry(const Asked& asked, Fate& fate) const {
  ImageResult& result = fate.result;
  nlohmann::json entry = nlohmann::json::object();
  if (content_.has_classes) {
    auto& predictions = entry["predictions"] = nlohmann::json::array();
    for (auto& [name, probability] : result.predictions)
      predictions.push_back({{"class", std::move(name)}, {"probability", probability}});
  }
  if (content_.has_neighbours) {
    auto& neighbours = entry["neighbours"] = nlohmann::json::array();
    for (FoundNeighbour& found : result.neighbours) {
      nlohmann::json one{{"path", std::move(found.path)}, {"similarity", found.similarity}};
      if (!found.class_name.empty()) one["class"] = std::move(found.class_name);
      if (asked.pictures && !found.thumbnail.empty()) one["thumbnail"] = std::move(found.thumbnail);
      neighbours.push_back(std::move(one));
    }
  }
  if (asked.feature) entry["feature"] = std::move(result.feature);
  if (asked.pictures) entry["picture"] = std::move(fate.picture);
  if (!fate.problem.empty()) entry["warning"] = std::move(fate.problem);
  return entry;
}

void Predictor::take_room(std::size_t images, RequestWork& work) {
  auto room = images_.try_to_enter(images);
  if (!room) refuse_for_room();
  work.images.emplace(std::move(*room));
}

// The pixels are the only copy. Empty if the image cannot be read.
PreparedPixels Predictor::prepare(std::span<const std::uint8_t> file, const Asked& asked,
                                  const WantedCheck& check, Fate& fate) {
  check();
  const double start = now_seconds();
  PreparedImage prepared;
  try {
    prepared = preparer_.prepare(file, check);
  } catch (const std::bad_alloc&) {
    throw Refused(503, "out of memory on the host while a picture was decoded: try again", seconds_until_room);
  }
  metrics_.add_preparation(now_seconds() - start);
  if (prepared.pixels.empty()) {
    fate.status = 422;
    fate.error = one_line(prepared.problem);
    metrics_.add_image(ImageOutcome::unreadable);
    return {};
  }
  fate.problem = std::move(prepared.problem);
  if (!asked.pictures) return std::move(prepared.pixels);
  Image seen;
  seen.height = seen.width = preparer_.side();
  seen.pixels = std::move(prepared.pixels);
  fate.picture = jpeg_uri(seen, 85);
  return std::move(seen.pixels);
}

void Predictor::compute(std::vector<PreparedPixels> readable, std::vector<Fate>& fates) {
  auto results = queue_.put(std::move(readable));
  if (!results) refuse_for_room();
  auto result = results->begin();
  for (Fate& fate : fates) {
    if (fate.status != 200) continue;
    fate.take(*result++);
    metrics_.add_image(fate.status == 200 ? ImageOutcome::answered : ImageOutcome::failed);
  }
}

nlohmann::json Predictor::answer(const third_party::HttpRequest& request, RequestWork& work) {
  const Asked asked{is_parameter_set(request, "feature"), is_parameter_set(request, "pictures")};
  const std::string type = request.header("content-type");
  if (request.body.empty()) throw Refused(400, "the body is empty: expected the bytes of an image");
  const bool form = is_form(type);
  std::vector<UploadedFile> files{{"", request.body}};
  if (form) files = files_of_form(request.body, multipart_boundary(type), most_files_of_form);
  if (files.empty()) throw Refused(400, "the form has no files");
  take_room(files.size(), work);

  std::vector<Fate> fates(files.size());
  std::vector<PreparedPixels> readable;
  for (std::size_t i = 0; i < files.size(); ++i) {
    PreparedPixels pixels = prepare(as_bytes_of_file(files[i].bytes), asked, work.check, fates[i]);
    if (!pixels.empty()) readable.push_back(std::move(pixels));
  }
  compute(std::move(readable), fates);

  if (!form) {
    Fate& only = fates.front();
    if (only.status != 200) throw Refused(only.status, only.error, only.retry_after);
    return entry(asked, only);
  }
  nlohmann::json images = nlohmann::json::array();
  for (std::size_t i = 0; i < files.size(); ++i) {
    Fate& fate = fates[i];
    nlohmann::json one = fate.status == 200 ? entry(asked, fate) : nlohmann::json{{"error", fate.error}};
    one["file"] = files[i].name;
    images.push_back(std::move(one));
  }
  return {{"images", std::move(images)}};
}

}  // namespace kindred
