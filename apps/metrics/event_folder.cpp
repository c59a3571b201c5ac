#include <kindred/apps/metrics/event_folder.h>
#include <kindred/apps/metrics/flat_metrics.h>
#include <kindred/apps/metrics/visible_text.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>
#include <kindred/engine/files/make_folders.h>

#include <event.pb.h>  // of event.proto, by protoc

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// Seconds since 1970 of "2025-03-01T09:30:00Z"; 0 if there is no such text.
double seconds_since_1970(const nlohmann::json& line) {
  const auto found = line.find("time");
  if (found == line.end() || !found->is_string()) return 0;
  std::tm time{};
  const char* const end = ::strptime(found->get_ref<const std::string&>().c_str(), "%Y-%m-%dT%H:%M:%SZ", &time);
  return end == nullptr ? 0 : static_cast<double>(::timegm(&time));
}

// Pairs of a value and how often it was met.
bool counts_values(const std::string& name, const nlohmann::json& value) {
  return name.ends_with("histogram") && value.is_array() && !value.empty() &&
         std::all_of(value.begin(), value.end(), [](const nlohmann::json& pair) {
           return pair.is_array() && pair.size() == 2 && pair[0].is_number() && pair[1].is_number();
         });
}

// TensorBoard draws each bucket from the limit below it to its own, so that a value has a bucket that ends half-way to the
// next one.
void fill_histogram(kindred_events::Histogram& histogram, const nlohmann::json& pairs) {
  std::vector<std::pair<double, double>> counts = pairs.get<std::vector<std::pair<double, double>>>();
  std::sort(counts.begin(), counts.end());
  double count = 0, sum = 0, squares = 0;
  const std::size_t last = counts.size() - 1;
  const double behind_last = last > 0 ? (counts[last].first - counts[last - 1].first) / 2 : 0.5;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto [value, times] = counts[i];
    count += times;
    sum += times * value;
    squares += times * value * value;
    histogram.add_upper_limit(i + 1 < counts.size() ? (value + counts[i + 1].first) / 2 : value + behind_last);
    histogram.add_in_bucket(times);
  }
  histogram.set_min(counts.front().first);
  histogram.set_max(counts.back().first);
  histogram.set_count(count);
  histogram.set_sum(sum);
  histogram.set_sum_of_squares(squares);
}

void add_figure(kindred_events::Summary& summary, const std::string& name, const nlohmann::json& value) {
  const bool is_histogram = counts_values(name, value);
  if (name == "epoch" || !(is_histogram || value.is_number())) return;  // the step is the epoch
  kindred_events::Figure& figure = *summary.add_figures();
  figure.set_tag(name);
  if (is_histogram)
    fill_histogram(*figure.mutable_histogram(), value);
  else
    figure.set_simple(value.get<float>());
}

std::string record_of_epoch(const nlohmann::json& line) {
  kindred_events::Event event;
  event.set_wall_time(seconds_since_1970(line));
  event.set_step(line.value("epoch", std::int64_t{0}));
  kindred_events::Summary& summary = *event.mutable_summary();
  visit_metrics(
      line, [&](const std::string& name, const nlohmann::json& value) { add_figure(summary, name, value); });
  return framed(event.SerializeAsString());
}

std::string record_of_version(double wall_time) {
  kindred_events::Event event;
  event.set_wall_time(wall_time);
  event.set_file_version("brain.Event:2");
  return framed(event.SerializeAsString());
}

std::string record_of_picture(const std::string& name, const PictureFile& file, double wall_time) {
  kindred_events::Event event;
  event.set_wall_time(wall_time);
  event.set_step(0);
  kindred_events::Figure& figure = *event.mutable_summary()->add_figures();
  figure.set_tag(visible_text(name));
  figure.mutable_note()->mutable_shown_by()->set_name("images");
  figure.mutable_note()->set_description(visible_lines(file.text));
  kindred_events::Picture& picture = *figure.mutable_picture();
  picture.set_height(file.height);
  picture.set_width(file.width);
  picture.set_colorspace(3);
  picture.set_encoded(file.jpeg);
  return framed(event.SerializeAsString());
}

std::vector<fs::path> files_of_ours(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (is_event_file_name(entry->path().filename().string())) files.push_back(entry->path());
  return files;
}

// After those that are there, by the order in which TensorBoard reads them: a reader that is under way goes on to it.
fs::path name_after(const std::vector<fs::path>& files, const fs::path& folder) {
  for (auto seconds = static_cast<std::int64_t>(std::time(nullptr));; ++seconds) {
    fs::path file = folder / event_file_name(seconds);
    if (std::all_of(files.begin(), files.end(), [&](const fs::path& other) { return other < file; }))
      return file;
  }
}

void append_to(const fs::path& file, const std::string& record) {
  std::ofstream out(file, std::ios::binary | std::ios::app);
  out.write(record.data(), static_cast<std::streamsize>(record.size()));
  out.flush();
  check(static_cast<bool>(out), ExitCode::io, "{}: cannot be written: {}", file.string(),
        what_to_do_about(errno));
}

}  // namespace

bool writes_events() {
  return true;
}

void EventFolder::write(const std::vector<nlohmann::json>& lines) {
  std::error_code ignored;
  const std::optional<PictureFile> picture = picture_.empty() ? std::nullopt : read_views_sheet(picture_);
  const bool is_new = picture && picture->jpeg != shown_;
  const bool is_there = !is_new && !file_.empty() && fs::exists(file_, ignored);
  if (is_there && lines.size() == written_) return;
  if (!is_there || lines.size() != written_ + 1) {
    write_all(lines, picture);
    return;
  }
  const fs::path file = std::exchange(file_, fs::path());  // if the record is cut off, all is written anew
  append_to(file, record_of_epoch(lines.back()));
  file_ = file;
  written_ = lines.size();
}

void EventFolder::write_all(const std::vector<nlohmann::json>& lines,
                            const std::optional<PictureFile>& picture) {
  file_.clear();
  if (lines.empty()) return;
  make_folders(folder_.string(), folder_);
  const double began = seconds_since_1970(lines.front());
  std::string records = record_of_version(began);
  if (picture) records += record_of_picture(picture_.stem().string(), *picture, began);
  for (const nlohmann::json& line : lines) records += record_of_epoch(line);
  const std::vector<fs::path> earlier = files_of_ours(folder_);
  const fs::path file = name_after(earlier, folder_);
  write_file_atomically(file, records);
  for (const fs::path& other : earlier) {
    std::error_code ignored;
    fs::remove(other, ignored);
  }
  file_ = file;
  written_ = lines.size();
  shown_ = picture ? picture->jpeg : std::string();
}

}  // namespace kindred
