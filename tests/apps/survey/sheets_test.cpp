// The sheets of check_data, and its page.
#include "../../engine/temporary_folder.h"

#include <doctest/doctest.h>

#include <kindred/apps/survey/sheets.h>
#include <kindred/apps/survey/survey_page.h>
#include <kindred/data/images/shrink.h>
#include <kindred/data/views/augment.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>

namespace kindred {
namespace {

// Pictures of random pixels.
struct RandomImages : SampleSource {
  int height = 40, width = 60;
  std::string name(std::int64_t i) const override { return "/somewhere/<i>" + std::to_string(i) + ".png"; }
  std::optional<Encoded> encoded(std::int64_t, std::vector<std::uint8_t>&) const override {
    return std::nullopt;
  }
  void load(std::int64_t i, Decoded& out) const override {
    out.outcome = Outcome::ok;
    out.image.resize(height, width);
    std::mt19937 random(static_cast<unsigned>(i));
    for (std::uint8_t& value : out.image.pixels) value = static_cast<std::uint8_t>(random());
    out.picture_height = height;
    out.picture_width = width;
  }
};

// The same, but these cannot be read any more.
struct LostImages : RandomImages {
  std::set<std::int64_t> lost{};
  void load(std::int64_t i, Decoded& out) const override {
    if (!lost.contains(i)) return RandomImages::load(i, out);
    out = {};
    out.reason = "planted";
  }
};

// `per_class` images of each class but the last one, which has none.
SplitSurvey random_split(int classes, int per_class, const std::string& prefix = "class ") {
  std::vector<std::string> names;
  std::vector<std::int32_t> labels;
  for (int c = 0; c < classes; ++c) {
    names.push_back(prefix + std::to_string(c));
    if (c + 1 < classes) labels.insert(labels.end(), static_cast<std::size_t>(per_class), c);
  }
  const auto source = std::make_shared<RandomImages>();
  SplitSurvey split{.name = "train", .set = Dataset(names, labels, source, false), .samples = {}};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    SampleFinding& sample = split.samples.emplace_back();
    sample.outcome = Outcome::ok;
    sample.height = source->height;
    sample.width = source->width;
  }
  return split;
}

int pixels_of(const Canvas& canvas, Color color) {
  int count = 0;
  for (int y = 0; y < canvas.height(); ++y)
    for (int x = 0; x < canvas.width(); ++x)
      count += std::equal(color.begin(), color.end(), canvas.image().pixel(y, x));
  return count;
}

TEST_CASE("sheets: each class has a row with its name, its count and its first images") {
  SplitSurvey split = random_split(4, 12);
  split.samples[1].outcome = Outcome::damaged;
  split.samples[2].outcome = Outcome::rejected;
  const Sheet sheet = contact_sheet(split);
  REQUIRE(sheet.rows.size() == 4);
  for (std::size_t c = 0; c < 4; ++c) CHECK(sheet.rows[c].name == "class " + std::to_string(c));
  CHECK(sheet.rows[0].note == "12 images");
  CHECK(sheet.rows[3].note == "0 images");
  CHECK(sheet.rows[3].pictures.empty());
  REQUIRE(sheet.rows[0].pictures.size() == 10);
  CHECK(sheet.rows[0].pictures[1].damaged);
  CHECK(sheet.rows[0].pictures[2].name == split.set.name(3));  // the third one cannot be read
  CHECK(sheet.rows[1].pictures[0].image.pixels == shrink_to(split.set.load(12).image, sheet.cell).pixels);
  const Canvas canvas = draw_sheet(sheet);
  CHECK(pixels_of(canvas, red) == 4 * 3 * (sheet.cell + 3));  // one frame of 3 pixels
  split.samples[1].outcome = Outcome::ok;
  CHECK(pixels_of(draw_sheet(contact_sheet(split)), red) == 0);
}

TEST_CASE("sheets: of many classes fifty that have images are shown") {
  const SplitSurvey split = random_split(300, 1);
  const Sheet sheet = contact_sheet(split);
  CHECK(sheet.rows.size() == 50);
  for (const SheetRow& row : sheet.rows) CHECK(row.pictures.size() == 1);
  CHECK(sheet.title == "train: the first images of 50 of 300 classes");
}

TEST_CASE("sheets: views are those of training, below headings that count them") {
  const SplitSurvey split = random_split(3, 2);
  const std::vector<ViewGroup> groups{{recipe("simaugment", 64), 64, 2}, {recipe("cifar", 32), 32, 3}};
  const Sheet sheet = sheet_of_views(split, groups, 5);
  CHECK(sheet.columns ==
        std::vector<std::string>{"original", "view 1", "view 2", "view 3", "view 4", "view 5"});
  CHECK(sheet.notes.size() == 2);
  REQUIRE(sheet.rows.size() == 2);  // the last class has no images
  CHECK(sheet.rows[1].name == "class 1");
  AugmentScratch scratch;
  for (std::uint32_t v = 0; v < 5; ++v) {
    const ViewGroup& group = groups[v < 2 ? 0 : 1];
    RandomStream random(5, Purpose::augment, 0, 2, v);
    Image view(group.size, group.size);
    make_view(split.set.load(2).image, group.recipe, group.size, random, view.pixels.data(), scratch);
    CHECK(sheet.rows[1].pictures[v + 1].image.pixels == view.pixels);
  }
  const Canvas canvas = draw_sheet(sheet);
  CHECK(canvas.height() > 2 * 64);
  CHECK(canvas.width() > 6 * 64);
}

TEST_CASE("sheets: an image that can be read when it is counted, and not when it is drawn, is left out") {
  SplitSurvey split = random_split(4, 3);
  const auto source = std::make_shared<LostImages>();
  source->lost = {1, 3, 4, 5};  // one of the first class, and all of the second
  split.set = Dataset(split.set.class_names(), split.set.labels(), source, false);
  const auto has_note = [](const Sheet& sheet, const std::string& note) {
    return std::ranges::find(sheet.notes, note) != sheet.notes.end();
  };
  SurveySheets sheets;
  sheets.contacts.push_back(contact_sheet(split));
  const Sheet& contacts = sheets.contacts.front();
  REQUIRE(contacts.rows.size() == 4);
  REQUIRE(contacts.rows[0].pictures.size() == 2);
  CHECK(contacts.rows[0].pictures[1].name == split.set.name(2));
  CHECK(contacts.rows[1].pictures.empty());
  CHECK(contacts.rows[2].pictures.size() == 3);
  CHECK(has_note(contacts, "left out: 4 images that could be read before and cannot be now"));
  sheets.views = sheet_of_views(split, {{recipe("cifar", 32), 32, 2}}, 5);
  REQUIRE(sheets.views->rows.size() == 2);
  CHECK(sheets.views->rows[0].name == "class 0");
  CHECK(sheets.views->rows[1].name == "class 2");
  CHECK(has_note(*sheets.views, "left out: 1 image that could be read before and cannot be now"));
  const TemporaryFolder folder;
  const std::vector<SplitSurvey> splits{split};
  draw_survey(splits, sheets, folder.path);
  write_survey_page(folder / "page.html",
                    {.data = "a set", .problem = "", .splits = splits, .odd = {}, .sheets = sheets});
  CHECK(read_bytes(folder / "page.html").find("left out: 4 images") != std::string::npos);
  CHECK(contact_sheet(random_split(4, 3)).notes.empty());
}

TEST_CASE("sheets: names of any kind are drawn") {
  for (const std::string& name : {std::string(300, 'w'), std::string("漢字 😀"), std::string("a\nb")}) {
    Sheet sheet = contact_sheet(random_split(2, 2, name));
    sheet.rows[0].name += "\xFF";
    const Canvas canvas = draw_sheet(sheet);
    for (int y = 0; y < canvas.height(); ++y)
      for (int x = 0; x < 15; ++x) REQUIRE(canvas.image().pixel(y, x)[0] == 255);
  }
}

// ---- the page

std::string page_of(const std::vector<SplitSurvey>& splits, const std::vector<OddThing>& odd,
                    const std::string& problem) {
  const TemporaryFolder folder;
  SurveySheets sheets;
  for (const SplitSurvey& split : splits) sheets.contacts.push_back(contact_sheet(split));
  sheets.views = sheet_of_views(splits.front(), {{recipe("cifar", 32), 32, 2}}, 1);
  write_survey_page(folder / "page.html",
                    {.data = "the <set>", .problem = problem, .splits = splits, .odd = odd, .sheets = sheets});
  return read_bytes(folder / "page.html");
}

nlohmann::json data_of(const std::string& page) {
  const std::string begin = "id=\"data\">";
  const std::size_t from = page.find(begin) + begin.size();
  return nlohmann::json::parse(page.substr(from, page.find("</script>", from) - from));
}

TEST_CASE("survey page: it has all counts, and no name is read as HTML") {
  std::vector<SplitSurvey> splits{random_split(3, 7, "<script>alert(1)</script>&"),
                                  random_split(3, 2, "<script>alert(1)</script>&")};
  splits[1].name = "evaluation";
  splits[0].samples[4].outcome = Outcome::rejected;
  const std::vector<OddThing> odd{{"<img src=x onerror=alert(2)>.png", "rejected: \"<b>\""}};
  const std::string page = page_of(splits, odd, "class '<i>' is bad");
  CHECK(page.find("<script>alert") == std::string::npos);
  CHECK(page.find("<img src=x") == std::string::npos);
  CHECK(page.find("<i>") == std::string::npos);
  CHECK(page.find("&lt;script&gt;alert(1)&lt;/script&gt;&amp;0") != std::string::npos);
  CHECK(page.find("&lt;img src=x onerror=alert(2)&gt;.png") != std::string::npos);
  CHECK(page.find("Training would not accept this: class &#39;&lt;i&gt;&#39; is bad") != std::string::npos);
  const nlohmann::json data = data_of(page);
  CHECK(data["classes"]["series"][0]["values"] == std::vector<int>{7, 7, 0});
  CHECK(data["classes"]["series"][1]["label"] == "evaluation");
  for (const nlohmann::json& chart : data["sizes"]) {
    int images = 0;
    for (const nlohmann::json& count : chart["series"][0]["values"]) images += count.get<int>();
    CHECK(images == 13);
    CHECK(chart["labels"].size() == chart["series"][0]["values"].size());
  }
}

TEST_CASE("survey page: of very much it has a part, and says so") {
  const SplitSurvey split = random_split(6000, 1, std::string(300, 'n'));
  const std::vector<OddThing> odd(3000, {std::string(300, 'f'), "odd"});
  const std::string page = page_of({split}, odd, "");
  CHECK(page.size() < 5'000'000);
  CHECK(page.find("The first 5,000 of 6,000 classes") != std::string::npos);
  CHECK(page.find("The first 1,000; --json FILE lists all.") != std::string::npos);
  CHECK(page.find(std::string(300, 'n')) == std::string::npos);
  CHECK(data_of(page)["classes"]["series"][0]["values"].size() == 6000);
}

}  // namespace
}  // namespace kindred
