// The confusion matrix of a report.
#include <kindred/apps/report/images/class_section.h>
#include <kindred/apps/report/images/confusion.h>
#include <kindred/apps/report/images/seen.h>
#include <kindred/apps/report/images/votes.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

namespace kindred {
namespace {

ConfusionCounts random_confusion(std::int64_t classes, int images, std::mt19937& random) {
  ConfusionCounts confusion(classes);
  const auto draw = [&] { return static_cast<std::int32_t>(random() % static_cast<unsigned>(classes)); };
  for (int i = 0; i < images; ++i) {
    const std::int32_t truth = draw();
    confusion.add(truth, random() % 2 == 0 ? truth : draw());
  }
  return confusion;
}

TEST_CASE("report: a confusion matrix counts, also classes that are none") {
  std::mt19937 random(1);
  const std::int64_t classes = 7;
  ConfusionCounts confusion(classes);
  std::vector<std::int64_t> plain(49), images(7);
  for (int i = 0; i < 500; ++i) {
    const auto truth = static_cast<std::int32_t>(random() % 9) - 1,
               named = static_cast<std::int32_t>(random() % 9) - 1;
    confusion.add(truth, named);
    if (truth < 0 || truth >= 7) continue;
    ++images[static_cast<std::size_t>(truth)];
    if (named >= 0 && named < 7) ++plain[static_cast<std::size_t>(truth * 7 + named)];
  }
  std::int64_t right = 0, named_outside = 0;
  for (std::int64_t a = 0; a < 7; ++a) {
    std::int64_t row = 0;
    for (std::int64_t b = 0; b < 7; ++b) {
      CHECK(confusion.at(a, b) == plain[static_cast<std::size_t>(a * 7 + b)]);
      row += confusion.at(a, b);
    }
    // An image that is named a class outside of the set is named wrongly, and is one of its class all the same.
    CHECK(confusion.images_of(a) == images[static_cast<std::size_t>(a)]);
    named_outside += confusion.images_of(a) - row;
    right += confusion.at(a, a);
    CHECK(confusion.accuracy_of(a) ==
          doctest::Approx(static_cast<double>(confusion.at(a, a)) /
                          static_cast<double>(images[static_cast<std::size_t>(a)])));
  }
  CHECK(named_outside > 0);
  CHECK(confusion.images() == std::accumulate(images.begin(), images.end(), std::int64_t{0}));
  CHECK(confusion.right() == right);
  CHECK(confusion.accuracy() ==
        doctest::Approx(static_cast<double>(right) / static_cast<double>(confusion.images())));
}

TEST_CASE("report: the order by confusion is a permutation, and the same every time") {
  std::mt19937 random(2);
  for (const std::int64_t classes : {1, 2, 3, 10, 50}) {
    CAPTURE(classes);
    const ConfusionCounts confusion = random_confusion(classes, 400, random);
    std::vector<std::int64_t> all(static_cast<std::size_t>(classes));
    std::iota(all.begin(), all.end(), 0);
    const auto order = order_by_confusion(confusion, all);
    CHECK(order == order_by_confusion(confusion, all));
    CHECK(std::is_permutation(order.begin(), order.end(), all.begin(), all.end()));
  }
  CHECK(order_by_confusion(ConfusionCounts(3), {}).empty());
  CHECK(order_by_confusion(ConfusionCounts(3), {2}) == std::vector<std::int64_t>{2});
}

TEST_CASE("report: planted blocks stand together in the order by confusion") {
  std::mt19937 random(3);
  for (int trial = 0; trial < 20; ++trial) {
    CAPTURE(trial);
    const std::int64_t classes = 30;
    std::vector<std::int64_t> block_of(static_cast<std::size_t>(classes)), all(block_of.size());
    for (std::size_t c = 0; c < block_of.size(); ++c) block_of[c] = static_cast<std::int64_t>(c % 5);
    std::shuffle(block_of.begin(), block_of.end(), random);
    std::iota(all.begin(), all.end(), 0);
    ConfusionCounts confusion(classes);
    for (std::int32_t truth = 0; truth < classes; ++truth)
      for (int image = 0; image < 100; ++image) {
        std::int32_t named = truth;
        if (image < 40) do {  // of its own block
            named = static_cast<std::int32_t>(random() % 30);
          } while (block_of[static_cast<std::size_t>(named)] != block_of[static_cast<std::size_t>(truth)]);
        else if (image < 44)
          named = static_cast<std::int32_t>(random() % 30);
        confusion.add(truth, named);
      }
    const auto order = order_by_confusion(confusion, all);
    CHECK(block_score(confusion, order) > 1.3 * block_score(confusion, all));
    int changes = 0;  // from one block to the next
    for (std::size_t i = 1; i < order.size(); ++i)
      changes +=
          block_of[static_cast<std::size_t>(order[i])] != block_of[static_cast<std::size_t>(order[i - 1])];
    CHECK(changes == 4);
  }
}

TEST_CASE("report: the hardest of a thousand classes") {
  std::mt19937 random(4);
  const ConfusionCounts confusion = random_confusion(1000, 8000, random);
  const auto hardest = hardest_classes(confusion, 50);
  REQUIRE(hardest.size() == 50);
  CHECK(std::is_sorted(hardest.begin(), hardest.end()));
  double worst_shown = 0;
  for (const std::int64_t c : hardest) worst_shown = std::max(worst_shown, confusion.accuracy_of(c));
  for (std::int64_t c = 0; c < 1000; ++c)
    if (!std::binary_search(hardest.begin(), hardest.end(), c) && confusion.images_of(c) > 0)
      CHECK(confusion.accuracy_of(c) >= worst_shown);
  ConfusionCounts few(5);
  few.add(1, 2);
  CHECK(hardest_classes(few, 50) == std::vector<std::int64_t>{1});
}

TEST_CASE("report: what is drawn of a confusion matrix is in its order") {
  std::mt19937 random(5);
  const ConfusionCounts confusion = random_confusion(6, 300, random);
  const std::vector<std::int64_t> order = {4, 0, 5, 2};
  const std::vector<std::string> names = {"a", "b", "c", "d", "<e>", std::string(300, 'f')};
  const nlohmann::json json = confusion_json(confusion, order, names);
  for (std::size_t r = 0; r < order.size(); ++r) {
    CHECK(json.at("names").at(r) == names[static_cast<std::size_t>(order[r])]);
    CHECK(json.at("of").at(r) == confusion.images_of(order[r]));
    for (std::size_t c = 0; c < order.size(); ++c)
      CHECK(json.at("rows").at(r).at(c) == confusion.at(order[r], order[c]));
  }
  const auto pairs = most_confused(confusion, 5);
  REQUIRE(pairs.size() == 5);
  for (std::size_t i = 0; i + 1 < pairs.size(); ++i) CHECK(pairs[i].images >= pairs[i + 1].images);
  for (const ConfusedPair& pair : pairs) {
    CHECK(pair.truth != pair.named);
    CHECK(confusion.at(pair.truth, pair.named) == pair.images);
  }
}

TEST_CASE("report: rows and columns of a part of the classes sum to all images by the others") {
  std::mt19937 random(7);
  const std::int64_t classes = 40;
  ConfusionCounts confusion = random_confusion(classes, 900, random);
  for (std::int32_t c = 0; c < 6; ++c) confusion.add(c, -1);  // named no class of the set
  const std::vector<std::int64_t> order = {31, 2, 5, 0, 17};
  const nlohmann::json json = confusion_json(confusion, order, std::vector<std::string>(40, "x"));
  const nlohmann::json& others = json.at("others");
  CHECK(others.at("classes") == 35);
  std::int64_t of_shown = 0, taken = 0, named = 0;
  for (std::size_t r = 0; r < order.size(); ++r) {
    std::int64_t row = others.at("named").at(r), column = others.at("taken").at(r), all = 0;
    named += row;
    taken += column;
    for (std::size_t c = 0; c < order.size(); ++c) {
      row += json.at("rows").at(r).at(c).get<std::int64_t>();
      column += json.at("rows").at(c).at(r).get<std::int64_t>();
    }
    CHECK(row == json.at("of").at(r));
    for (std::int64_t truth = 0; truth < classes; ++truth) all += confusion.at(truth, order[r]);
    CHECK(column == all);
    of_shown += row;
  }
  CHECK(named > 5);
  CHECK(taken > 5);
  CHECK(others.at("of") == confusion.images() - of_shown);
  CHECK(others.at("both").get<std::int64_t>() + taken == others.at("of"));

  ConfusionCounts whole(3);
  for (int i = 0; i < 9; ++i) whole.add(i % 3, i % 2);
  CHECK(confusion_json(whole, std::vector<std::int64_t>{0, 1, 2}, {"a", "b", "c"}).at("others").is_null());
}

ImageTable table_of_classes(int classes, int each) {
  ImageTable table;
  for (int c = 0; c < classes; ++c) table.classes.push_back("class " + std::to_string(c));
  for (int i = 0; i < classes * each; ++i) table.labels.push_back(i % classes);
  table.paths.resize(table.labels.size());
  return table;
}

TEST_CASE("report: of a thousand classes the page says how many the matrix shows, and which") {
  ImageTable table = table_of_classes(1000, 3);
  std::mt19937 random(8);
  NamedBy named{.who = "somebody", .classes = table.labels};
  for (std::int32_t& c : named.classes)
    if (random() % 3 == 0) c = static_cast<std::int32_t>(random() % 1000);
  const ClassSection section = class_section(table, {named});
  CHECK(section.html.find("Of 1000 classes with images 50 are shown: those with the lowest accuracy") !=
        std::string::npos);
  CHECK(section.html.find("The last column counts the images that were named a class that is not shown") !=
        std::string::npos);
  CHECK(section.html.find("Accuracy of these classes") != std::string::npos);
  CHECK(section.confusion.at("names").size() == 50);
  CHECK(section.confusion.at("others").at("classes") == 950);

  ImageTable few = table_of_classes(10, 3);
  const ClassSection all = class_section(few, {{.who = "somebody", .classes = few.labels}});
  CHECK(all.html.find("are shown") == std::string::npos);
  CHECK(all.html.find("last column") == std::string::npos);
  CHECK(all.html.find("Accuracy of each class") != std::string::npos);
  std::vector<std::int32_t> foreign = few.labels;
  foreign[4] = -1;  // named no class of the set
  const ClassSection with_foreign = class_section(few, {{.who = "somebody", .classes = foreign}});
  CHECK(with_foreign.html.find("that were named none of the set's classes") != std::string::npos);
}

TEST_CASE("report: class names of 300 letters are shortened in lists, and whole in their titles") {
  ImageTable table = table_of_classes(3, 4);
  for (std::size_t c = 0; c < 3; ++c) table.classes[c] = std::to_string(c) + std::string(300, 'n') + "<b>";
  std::vector<std::int32_t> named = table.labels;
  for (std::int32_t& c : named) c = (c + 1) % 3;
  const std::string html = class_section(table, {{.who = "somebody", .classes = named}}).html;
  const std::string list = html.substr(html.find("What is confused most"));
  REQUIRE(!list.empty());
  CHECK(list.find(" title=\"0" + std::string(300, 'n') + "&lt;b&gt;\">0nnn") != std::string::npos);
  CHECK(list.find(">0" + std::string(100, 'n')) == std::string::npos);  // shown
  CHECK(list.find("<b>") == std::string::npos);
}

TEST_CASE("report: a page at the end of a run looks at as many images as the run can afford") {
  const SeenOptions all, none = seen_after_run_of(0), large = seen_after_run_of(50'000LL * 2 * 100);
  CHECK(large.most_evaluation == all.most_evaluation);
  CHECK(large.most_training == all.most_training);
  CHECK(none.most_evaluation == 500);
  CHECK(none.most_training == 1250);
  std::int64_t before = 0;
  bool was_between = false;
  for (std::int64_t views = 1000; views < 1'000'000; views += 7919) {
    CAPTURE(views);
    const SeenOptions seen = seen_after_run_of(views);
    const std::int64_t images = seen.most_evaluation + seen.most_training;
    CHECK(images >= before);
    CHECK(images >= 1750);
    CHECK(images <= 7000);
    CHECK((images == 1750 || 200 * images <= 3 * views));
    was_between = was_between || (images > 2500 && images < 6500);
    before = images;
  }
  CHECK(was_between);
  CHECK(before == 7000);
}

TEST_CASE("report: neighbours vote with exp(cosine / 0.07)") {
  std::mt19937 random(6);
  std::uniform_real_distribution<float> cosine(-1, 1);
  const std::vector<std::int32_t> labels = {0, 1, 2, 1, 0, 2, 2, 1};
  Neighbours neighbours;
  neighbours.each = 5;
  for (int i = 0; i < 40 * 5; ++i) {
    neighbours.rows.push_back(static_cast<std::int32_t>(random() % labels.size()));
    neighbours.similarity.push_back(cosine(random));
  }
  const auto voted = voted_classes(neighbours, labels);
  REQUIRE(voted.size() == 40);
  for (std::size_t query = 0; query < 40; ++query) {
    std::vector<double> votes(3);
    for (std::size_t n = 5 * query; n < 5 * query + 5; ++n)
      votes[static_cast<std::size_t>(labels[static_cast<std::size_t>(neighbours.rows[n])])] +=
          std::exp(static_cast<double>(neighbours.similarity[n]) / 0.07);
    CHECK(voted[query] == std::max_element(votes.begin(), votes.end()) - votes.begin());
  }
}

TEST_CASE("report: tables of other classes get one list of them") {
  ImageTable train, val;
  train.classes = {"cat", "dog"};
  train.labels = {0, 1};
  val.classes = {"bird", "dog"};
  val.labels = {1, 0, 1};
  unify_classes(train, val);
  CHECK(train.classes == std::vector<std::string>{"cat", "dog", "bird"});
  CHECK(val.classes == train.classes);
  CHECK(train.labels == std::vector<std::int32_t>{0, 1});
  CHECK(val.labels == std::vector<std::int32_t>{1, 2, 1});
}

}  // namespace
}  // namespace kindred
