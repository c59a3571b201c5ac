// Tables of names.
#include <doctest/doctest.h>
#include <kindred/engine/names.h>

using namespace kindred;

namespace {

enum class Colour { red, green, blue };
// Blue has two names, and Colour(7) none.
constexpr Named<Colour> colours[] = {
    {Colour::red, "red"}, {Colour::green, "green"}, {Colour::blue, "blue"}, {Colour::blue, "azure"}};

}  // namespace

TEST_CASE("names: of values, and the values of names") {
  CHECK(std::string(name_of(colours, Colour::green)) == "green");
  CHECK(std::string(name_of(colours, Colour::blue)) == "blue");  // the first of two
  CHECK(std::string(name_of(colours, static_cast<Colour>(7))) == "?");
  CHECK(value_named(colours, "red") == Colour::red);
  CHECK(value_named(colours, "azure") == Colour::blue);
  CHECK(!value_named(colours, "re").has_value());
  CHECK(!value_named(colours, "redder").has_value());
  CHECK(!value_named(colours, "").has_value());
  CHECK(entry_named(colours, "azure") == &colours[3]);
  CHECK(entry_named(colours, "Red") == nullptr);
}

TEST_CASE("names: as a list in a message") {
  CHECK(names_of(colours) == "red, green, blue, azure");
  CHECK(names_of(colours, " or ") == "red, green, blue or azure");
  CHECK(names_of(colours, " | ", " | ") == "red | green | blue | azure");
  constexpr Named<Colour> one[] = {{Colour::red, "red"}};
  CHECK(names_of(one, " or ") == "red");
}
