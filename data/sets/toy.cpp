#include <fmt/core.h>
#include <kindred/data/sets/toy.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace kindred {
namespace {

constexpr float pi = std::numbers::pi_v<float>;

enum class Outline { circle, square, triangle, star, ring, cross };
enum class Texture { stripes, checks, dots, plain, rings, grid };

constexpr std::array<const char*, 6> shape_names{"circle", "square", "triangle", "star", "ring", "cross"};
constexpr std::array<const char*, 6> texture_names{"stripes", "checks", "dots", "plain", "rings", "grid"};

// Every label has its own pair of shape and texture. Neighbouring labels differ in both.
Outline shape_of(int label) {
  return static_cast<Outline>(label % 6);
}
Texture texture_of(int label) {
  return static_cast<Texture>((label % 6 + label / 6) % 6);
}

struct Color {
  float red = 0, green = 0, blue = 0;  // 0 to 255
};

Color mix(Color a, Color b, float t) {
  return {a.red + (b.red - a.red) * t, a.green + (b.green - a.green) * t, a.blue + (b.blue - a.blue) * t};
}

Color draw_color(RandomStream& random) {
  return {random.uniform(20, 235), random.uniform(20, 235), random.uniform(20, 235)};
}

float brightness(Color c) {
  return 0.3f * c.red + 0.59f * c.green + 0.11f * c.blue;
}

// A colour that can be distinguished from another one, even in a gray copy of the picture.
Color draw_color_unlike(Color other, RandomStream& random) {
  Color color = draw_color(random);
  for (int attempt = 0; attempt < 20 && std::abs(brightness(color) - brightness(other)) < 80; ++attempt) {
    color = draw_color(random);
  }
  return color;
}

struct Point {
  float x = 0, y = 0;
};

// A coordinate frame that is shifted, rotated and scaled.
struct Frame {
  Point origin;
  float cosine = 1, sine = 0, scale = 1;

  Frame(Point where, float angle, float size)
      : origin(where), cosine(std::cos(angle)), sine(std::sin(angle)), scale(1 / size) {}
  Point to_local(Point p) const {
    const float x = (p.x - origin.x) * scale, y = (p.y - origin.y) * scale;
    return {x * cosine + y * sine, y * cosine - x * sine};
  }
};

// Returns true if a point lies in the shape. All shapes have about the same area, so that none can be
// identified by its area.
bool inside_shape(Outline shape, Point p) {
  const float ax = std::abs(p.x), ay = std::abs(p.y), radius = std::hypot(p.x, p.y);
  switch (shape) {
    case Outline::circle:
      return radius < 0.85f;
    case Outline::square:
      return ax < 0.75f && ay < 0.75f;
    case Outline::triangle:
      return p.y > -0.6f && p.y < 1.2f - 1.75f * ax;
    case Outline::star: {  // five points: the radius alternates between two values, linearly in the angle
      const float turn = std::atan2(p.x, p.y) / (2 * pi) * 5.0f;
      const float to_point = 2.0f * std::abs(turn - std::round(turn));  // 0 at a point, 1 between two
      return radius < 1.2f - 0.72f * to_point;
    }
    case Outline::ring:
      return radius < 1.0f && radius > 0.5f;
    case Outline::cross:
      return (ax < 0.32f && ay < 1.0f) || (ay < 0.32f && ax < 1.0f);
  }
  return false;
}

// Returns true if a texture has its second colour at a point. The period is 1.
bool second_color(Texture texture, Point p) {
  const auto phase = [](float v) { return v - std::floor(v); };
  switch (texture) {
    case Texture::stripes:
      return phase(p.x) < 0.5f;
    case Texture::checks:
      return (phase(p.x) < 0.5f) != (phase(p.y) < 0.5f);
    case Texture::dots:
      return std::hypot(phase(p.x) - 0.5f, phase(p.y) - 0.5f) < 0.34f;
    case Texture::plain:
      return false;
    case Texture::rings:
      return phase(std::hypot(p.x, p.y)) < 0.5f;
    case Texture::grid:
      return phase(p.x) < 0.28f || phase(p.y) < 0.28f;
  }
  return false;
}

struct Blob {
  Frame frame;
  float stretch;  // an ellipse that differs clearly from a circle
  Color color;
};

struct Line {
  Frame frame;
  float half_width, half_length;
  Color color;
};

struct Scene {
  Color sky, ground;  // the background changes from one to the other
  Frame slope;
  float wave;  // phase of the wave in the background
  std::vector<Blob> blobs;
  std::vector<Line> lines;
  Frame object, pattern;
  Color first, second;
  Outline shape;
  Texture texture;
  Point light;  // brightness increases in this direction
  float noise;
};

Point draw_point(RandomStream& random, float low, float high) {
  const float x = random.uniform(low, high);
  return {x, random.uniform(low, high)};
}

Scene draw_scene(int label, RandomStream& random) {
  const auto angle = [&] { return random.uniform(0, 2 * pi); };
  const Color sky = draw_color(random), ground = draw_color(random);
  const Frame slope({0.5f, 0.5f}, angle(), random.uniform(0.5f, 1.0f));
  const float wave = angle();
  std::vector<Blob> blobs;
  for (std::uint32_t left = 2 + random.below(2); left > 0; --left) {
    const Point where = draw_point(random, 0, 1);
    const float turn = angle(), size = random.uniform(0.05f, 0.12f), stretch = random.uniform(1.8f, 3.5f);
    blobs.push_back({Frame(where, turn, size), stretch, draw_color(random)});
  }
  std::vector<Line> lines;
  for (std::uint32_t left = 2 + random.below(3); left > 0; --left) {
    const Point where = draw_point(random, 0, 1);
    const float turn = angle(), width = random.uniform(0.008f, 0.025f), length = random.uniform(0.1f, 0.4f);
    lines.push_back({Frame(where, turn, 1), width, length, draw_color(random)});
  }
  const Point where = draw_point(random, 0.42f, 0.58f);
  const float turn = random.uniform(-0.4f, 0.4f), size = random.uniform(0.38f, 0.46f);
  const Frame object(where, turn, size);
  const float pattern_turn = random.uniform(-0.6f, 0.6f);
  const Frame pattern(where, pattern_turn, random.uniform(0.18f, 0.21f));
  const Color first = draw_color_unlike(mix(sky, ground, 0.5f), random);
  const Color second = draw_color_unlike(first, random);
  const float light_turn = angle(), light = random.uniform(0, 0.5f);
  return Scene{sky,
               ground,
               slope,
               wave,
               std::move(blobs),
               std::move(lines),
               object,
               pattern,
               first,
               second,
               shape_of(label),
               texture_of(label),
               {light * std::cos(light_turn), light * std::sin(light_turn)},
               random.uniform(2.0f, 6.0f)};
}

bool on_line(const Line& line, Point p) {
  const Point q = line.frame.to_local(p);
  return std::abs(q.y) < line.half_width && std::abs(q.x) < line.half_length;
}

// The colour at a point of the unit square. From back to front: the background, the blobs and most of the
// lines, the object, the other lines.
Color color_at(const Scene& scene, Point p) {
  const Point s = scene.slope.to_local(p);
  Color color =
      mix(scene.sky, scene.ground, std::clamp(0.5f + s.x + 0.15f * std::sin(7 * s.y + scene.wave), 0.0f, 1.0f));
  for (const Blob& blob : scene.blobs) {
    const Point q = blob.frame.to_local(p);
    if (q.x * q.x / (blob.stretch * blob.stretch) + q.y * q.y < 1) color = blob.color;
  }
  const std::size_t in_front = scene.lines.size() / 4;
  for (std::size_t i = in_front; i < scene.lines.size(); ++i) {
    if (on_line(scene.lines[i], p)) color = scene.lines[i].color;
  }
  if (inside_shape(scene.shape, scene.object.to_local(p))) {
    color = second_color(scene.texture, scene.pattern.to_local(p)) ? scene.second : scene.first;
  }
  for (std::size_t i = 0; i < in_front; ++i) {
    if (on_line(scene.lines[i], p)) color = scene.lines[i].color;
  }
  const float light = 1 + scene.light.x * (p.x - 0.5f) + scene.light.y * (p.y - 0.5f);
  return {color.red * light, color.green * light, color.blue * light};
}

std::uint8_t to_byte(float value) {
  return static_cast<std::uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f));
}

}  // namespace

std::string toy_class_name(int label) {
  return fmt::format("{}_{}", shape_names[static_cast<std::size_t>(shape_of(label))],
                     texture_names[static_cast<std::size_t>(texture_of(label))]);
}

Image draw_toy_image(int label, int size, RandomStream& random) {
  constexpr int samples = 3;  // per pixel and direction
  const Scene scene = draw_scene(label, random);
  Image image(size, size);
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      Color sum;
      for (int i = 0; i < samples * samples; ++i) {
        const float dx = (float(i % samples) + 0.5f) / samples, dy = (float(i / samples) + 0.5f) / samples;
        const Color c = color_at(scene, {(float(x) + dx) / float(size), (float(y) + dy) / float(size)});
        sum = {sum.red + c.red, sum.green + c.green, sum.blue + c.blue};
      }
      constexpr float share = 1.0f / (samples * samples);
      std::uint8_t* pixel = image.pixel(y, x);
      const auto noisy = [&](float value) {
        return to_byte(value * share + random.uniform(-1, 1) * scene.noise);
      };
      pixel[0] = noisy(sum.red);
      pixel[1] = noisy(sum.green);
      pixel[2] = noisy(sum.blue);
    }
  }
  return image;
}

}  // namespace kindred
