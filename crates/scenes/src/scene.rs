//! What a scene shows: two things, their relation, and the ground; and five captions that
//! describe it.

use crate::random::Random;

/// A scene and where it belongs.
pub struct Entry {
    /// From 1, in all splits together.
    pub id: u64,
    /// Its split.
    pub split: &'static str,
    /// The scene.
    pub scene: Scene,
}

impl Entry {
    /// Name of its picture's file.
    pub fn file_name(&self) -> String {
        format!("scene_{:06}.png", self.id)
    }
}

/// What a thing is: the noun that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Shape {
    Circle,
    Square,
    Triangle,
    Star,
    Ring,
    Cross,
}

/// All shapes; a category's id is its position here, from 1.
pub const SHAPES: [Shape; 6] = [
    Shape::Circle,
    Shape::Square,
    Shape::Triangle,
    Shape::Star,
    Shape::Ring,
    Shape::Cross,
];

impl Shape {
    /// The noun in captions, and the category's name.
    pub fn noun(self) -> &'static str {
        match self {
            Shape::Circle => "circle",
            Shape::Square => "square",
            Shape::Triangle => "triangle",
            Shape::Star => "star",
            Shape::Ring => "ring",
            Shape::Cross => "cross",
        }
    }
}

/// Names and RGB values of colours.
pub const COLOURS: [(&str, [f64; 3]); 6] = [
    ("red", [214.0, 44.0, 44.0]),
    ("blue", [42.0, 84.0, 214.0]),
    ("green", [44.0, 160.0, 70.0]),
    ("yellow", [240.0, 208.0, 40.0]),
    ("purple", [140.0, 60.0, 180.0]),
    ("white", [245.0, 245.0, 245.0]),
];

/// Names of sizes and their ranges of the radius, as a fraction of the picture's side.
pub const SIZES: [(&str, [f64; 2]); 2] = [("small", [0.094, 0.117]), ("large", [0.172, 0.203])];

/// Textures of the ground.
pub const GROUNDS: [&str; 4] = ["plain", "striped", "checked", "dotted"];

/// Where the first thing lies relative to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Relation {
    Left,
    Right,
    Above,
    Below,
}

const RELATIONS: [Relation; 4] = [
    Relation::Left,
    Relation::Right,
    Relation::Above,
    Relation::Below,
];

impl Relation {
    fn words(self) -> &'static str {
        match self {
            Relation::Left => "left of",
            Relation::Right => "right of",
            Relation::Above => "above",
            Relation::Below => "below",
        }
    }

    fn inverse(self) -> Relation {
        match self {
            Relation::Left => Relation::Right,
            Relation::Right => Relation::Left,
            Relation::Above => Relation::Below,
            Relation::Below => Relation::Above,
        }
    }

    /// Whether a centre at `a` has this relation to one at `b`, clearly.
    pub fn holds(self, a: [f64; 2], b: [f64; 2]) -> bool {
        let (dx, dy) = (a[0] - b[0], a[1] - b[1]);
        match self {
            Relation::Left => -dx > 1.6 * dy.abs(),
            Relation::Right => dx > 1.6 * dy.abs(),
            Relation::Above => -dy > 1.6 * dx.abs(),
            Relation::Below => dy > 1.6 * dx.abs(),
        }
    }
}

/// A thing in a scene; lengths are fractions of the picture's side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thing {
    /// Its shape.
    pub shape: Shape,
    /// Index into [`COLOURS`].
    pub colour: usize,
    /// Index into [`SIZES`].
    pub size: usize,
    /// Its centre: x and y from the upper left corner.
    pub centre: [f64; 2],
    /// Half the side of its bounding square.
    pub radius: f64,
}

impl Thing {
    /// Its name, such as `small red circle`.
    pub fn name(&self) -> String {
        format!(
            "{} {} {}",
            SIZES[self.size].0,
            COLOURS[self.colour].0,
            self.shape.noun()
        )
    }
}

/// A scene.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Two things of different shapes that don't touch.
    pub things: [Thing; 2],
    /// Where the first lies relative to the second.
    pub relation: Relation,
    /// Index into [`GROUNDS`].
    pub ground: usize,
}

impl Scene {
    /// A random scene, in which all properties are independent of each other.
    pub fn random(random: &mut Random) -> Scene {
        loop {
            let shapes = [random.pick(&SHAPES), random.pick(&SHAPES)];
            let relation = random.pick(&RELATIONS);
            let things = shapes.map(|shape| {
                let size = random.pick(&[0, 1]);
                let [low, high] = SIZES[size].1;
                let radius = random.between(low, high);
                let mut place = || random.between(radius + 0.016, 1.0 - radius - 0.016);
                let centre = [place(), place()];
                Thing {
                    shape,
                    colour: random.pick(&[0, 1, 2, 3, 4, 5]),
                    size,
                    centre,
                    radius,
                }
            });
            let [a, b] = things;
            let apart = (0..2)
                .any(|axis| (a.centre[axis] - b.centre[axis]).abs() > a.radius + b.radius + 0.016);
            if a.shape != b.shape && apart && relation.holds(a.centre, b.centre) {
                return Scene {
                    things,
                    relation,
                    ground: random.pick(&[0, 1, 2, 3]),
                };
            }
        }
    }

    /// What the scene shows, without exact positions: the same words describe two scenes of
    /// the same content.
    pub fn content(&self) -> String {
        let [a, b] = &self.things;
        let (one, other) = (
            format!("{} {} {}", a.name(), self.relation.words(), b.name()),
            format!(
                "{} {} {}",
                b.name(),
                self.relation.inverse().words(),
                a.name()
            ),
        );
        format!("{} on {}", one.min(other), GROUNDS[self.ground])
    }

    /// Five captions, all true and all different.
    pub fn captions(&self) -> [String; 5] {
        let [a, b] = self.things.map(|thing| thing.name());
        let (relation, inverse) = (self.relation.words(), self.relation.inverse().words());
        let to_the = match self.relation {
            Relation::Left | Relation::Right => "to the ",
            Relation::Above | Relation::Below => "",
        };
        let ground = GROUNDS[self.ground];
        [
            format!("a {a} is {relation} a {b}"),
            format!("a {b} is {inverse} a {a}"),
            format!("there is a {a} {to_the}{relation} a {b}"),
            format!("on a {ground} ground a {a} is {relation} a {b}"),
            format!("a {b} and a {a} on a {ground} ground"),
        ]
    }
}
