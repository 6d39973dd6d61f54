"""Problem families with several steps. Data only; grammar.py explains how rows are read."""

from crescent.organism.grammar import Family

SEVERAL_STEPS: tuple[Family, ...] = (
    Family(
        "buy_two", "a=2..9 p=2..12~ b=2..9 q=2..12",
        ("{name} (buys|gets|orders) {a} {thing} for ${p} each and {b} {thing2} for ${q} each.",
         "At the {place}, {thing} cost ${p} each and {thing2} cost ${q} each. {name} (buys|takes) {a} {thing} "
         "and {b} {thing2}.",
         "{name} goes to the {place} on {day} and buys {a} {thing} at ${p} each. {He} also buys {b} {thing2} at "
         "${q} each.",
         "A {job} needs {a} {thing} and {b} {thing2}. The {thing} are ${p} each, the {thing2} are ${q} each."),
        ("How much do they cost in total?", "How many dollars is that in all?"),
        "The {thing} cost [c = a * p] dollars. The {thing2} cost [d = b * q] dollars. The total is [e = c + d] "
        "dollars.",
        "How many dollars do the {thing} alone cost?"),
    Family(
        "change_items", "n=2..9 p=2..12 b=50|100|200 b>n*p",
        ("{name} buys {n} {thing} for ${p} each and pays with ${b}.",
         "At the {place}, {name} takes {n} {thing} that cost ${p} each. {He} gives the {job} ${b}.",
         "With ${b} in {his} pocket, {name} goes to the {place} and buys {n} {thing} at ${p} each."),
        ("How much change does {name} get?", "How many dollars does {name} have left?"),
        "The {thing} cost [c = n * p] dollars. {name} has [d = b - c] dollars left.",
        "How many dollars does {name} spend?"),
    Family(
        "give_then_share", "n=2..9 q=2..12~ a=3..30 t=n*q+a",
        ("{name} has {t} {thing}. {He} (gives away|eats|loses) {a} and puts the rest equally into {n} {box}.",
         "Of {t} {thing} at the {place}, {a} are bad. {name} divides the good ones equally among {n} {box}.",
         "A {job} makes {t} {thing}, keeps {a} for a {kin} and packs the others evenly in {n} {box}."),
        ("How many {thing} are in each of the {box}?", "How many {thing} does each one of the {box} hold?"),
        "There remain [c = t - a] {thing}. Each one holds [d = c / n] {thing}.",
        "How many {thing} are put into the {box} altogether?"),
    Family(
        "times_total", "a=3..30~ n=2..9",
        ("{name} has {a} {thing}. {name2} has {n} times as many {thing} as {name}.",
         "{name} (picked|found|sold) {a} {thing} at the {place}, and {name2} {n} times as many.",
         "On {day}, {name2} made {n} times as many {thing} as {name}, who made {a}."),
        ("How many {thing} do {name} and {name2} have together?", "What is the total of {thing} for {name} and "
                        "{name2}?"),
        "{name2} has [c = a * n] {thing}. Together they have [d = a + c] {thing}.",
        "How many {thing} does {name2} have?"),
    Family(
        "more_total", "a=5..80~ b=3..40~",
        ("{name} has {a} {thing}. {name2} has {b} more {thing} than {name}.",
         "{name} brought {a} {thing} to the {place}, while {name2} brought {b} more than that.",
         "On {day}, {name} painted {a} {thing}, and {his} {kin} {name2} painted {b} more than {name}."),
        ("How many {thing} do {name} and {name2} have together?", "How many {thing} is that in all for both?"),
        "{name2} has [c = a + b] {thing}. Together they have [d = a + c] {thing}.",
        "How many {thing} does {name2} have?"),
    Family(
        "three_days", "a=5..40 b=3..20 n=2..4",
        ("{name} (sold|made|picked) {a} {thing} on the first day, {b} more than that on the second day and {n} "
         "times the "
         "number of the second day on the third day.",
         "On the first day the {place} got {a} {thing}. On the second day it got {b} {thing} more than on the "
         "first, and "
         "on the third day {n} times as many as on the second."),
        ("How many {thing} is that in the three days?", "What is the total number of {thing} for all three days?"),
        "On the second day it was [c = a + b]. On the third day it was [d = c * n]. The first two days make [e "
        "= a + c]. "
        "All days make [f = e + d] {thing}.",
        "How many {thing} was it on the second day?"),
    Family(
        "discount", "p=10|20|25|50 q=2..25 t=q*100//p",
        ("The {thing} cost ${t}. Today there is a discount of {p}%.",
         "{name} wants {thing} that cost ${t} at the {place}. On {day} the price is {p}% lower.",
         "A {job} sells {thing} for ${t} but gives {name}, a {kin}, {p}% off."),
        ("What is the new price in dollars?", "How many dollars must be paid now?"),
        "{p}% means 1 of each [k = 100 / p]. The discount is [c = t / k] dollars. The new price is [d = t - c] "
        "dollars."),
    Family(
        "average", "q=6..40 a=3..q+8 b=3..q+8 c=3*q-a-b c>2",
        ("{name} (ran|walked|swam) {a} laps on Monday, {b} laps on Tuesday and {c} laps on Wednesday.",
         "In three games at the {place}, {name} scored {a}, {b} and {c} points.",
         "Three {thing} from the {place} weigh {a}, {b} and {c} grams."),
        ("What is the average of the three?", "What is the mean of these numbers?"),
        "The first two make [d = a + b]. All three make [e = d + c]. The average is [f = e / 3].",
        "What is the sum of the first two?"),
    Family(
        "perimeter", "l=6..60~ w=3..40~ l>w",
        ("A rectangular (garden|field|yard|park) is {l} meters long and {w} meters wide.",
         "{name} walks once around a rectangle at the {place} that is {l} meters by {w} meters.",
         "The {job} puts a fence around the {place}, a rectangle with sides of {l} meters and {w} meters."),
        ("What is the perimeter in meters?", "How many meters is it all the way around?"),
        "Two sides make [c = l + w] meters. All the way around is [d = c * 2] meters."),
    Family(
        "fence_cost", "l=4..25~ w=3..20 p=2..5 l>w",
        ("A fence around a (garden|field|yard) of {l} by {w} meters costs ${p} per meter.",
         "{name} builds a wall around the {place}, which is {l} meters long and {w} meters wide. Each meter "
         "costs ${p}."),
        ("How many dollars does it cost to go all the way around?", "What is the full cost in dollars?"),
        "Two sides make [c = l + w] meters. All the way around is [d = c * 2] meters. The cost is [e = d * p] dollars.",
        "How many meters do one long and one short side make?"),
    Family(
        "age_times", "a=4..20 n=2..4 k=3..25",
        ("{name} is {a} years old. {His} {kin} {name2} is {n} times as old.",
         "The age of {name} is {a}, and {name2} the {job} is {n} times as old as {name}.",
         "{name2} is {n} times as old as {name}, who turned {a} on {day}."),
        ("How old will {name2} be in {k} years?", "What will be the age of {name2} after {k} years?"),
        "{name2} is [c = a * n] years old. In {k} years it will be [d = c + k]."),
    Family(
        "fuel", "m=5|10|20|25|30|40 g=2..20 d=m*g p=2..6",
        ("A {ride} goes {m} miles on a gallon of fuel. {name} drives {d} miles to the {place}. Fuel costs ${p} "
         "a gallon.",
         "{name} travels {d} miles by {ride}. The {ride} needs one gallon for {m} miles, and a gallon costs ${p}."),
        ("How much does the fuel cost in dollars?", "How many dollars does {name} pay for the fuel?"),
        "The trip takes [g = d / m] gallons. The fuel costs [c = g * p] dollars.",
        "How many gallons of fuel does the {ride} use?"),
    Family(
        "wage_week", "h=3..9 d=2..6 p=5..12",
        ("{name} works {h} hours a day as a {job} and earns ${p} per hour.",
         "A {job} at the {place} is paid ${p} an hour and works {h} hours every day.",
         "Each day {name} helps at the {place} for {h} hours, and each hour pays ${p}."),
        ("How many dollars is that in {d} days?", "How much is earned in {d} days?"),
        "One day pays [c = h * p] dollars. In {d} days that is [e = c * d] dollars.",
        "How many dollars is that in one day?"),
    Family(
        "overtime", "a=4..9 r=8..20 b=2..6 k=2..10",
        ("{name} earns ${r} an hour for {a} normal hours. For {b} extra hours {he} gets ${k} more per hour.",
         "A {job} works {a} hours at ${r} per hour, then {b} extra hours at the {place}, with ${k} more for "
         "each extra hour."),
        ("How many dollars is the pay in all?", "What is the total pay in dollars?"),
        "The normal hours pay [c = a * r] dollars. An extra hour pays [d = r + k] dollars. The extra hours pay "
        "[e = b * d] dollars. The total is [f = c + e] dollars.",
        "How many dollars do the normal hours pay?"),
    Family(
        "recipe", "k=2..6 q=2..12 t=k*q n=3..9",
        ("A {job} uses {t} {food} for {k} cakes.", "For {k} cakes, the recipe of {name} needs {t} {food}.",
         "{name} bakes {k} cakes at the {place} with {t} {food}."),
        ("How many {food} are needed for {n} cakes?", "How many {food} would {n} cakes take?"),
        "One cake takes [c = t / k] {food}. The cakes need [d = c * n] {food}.",
        "How many {food} does one cake take?"),
    Family(
        "boxes_left", "n=2..9 a=4..20~ b=3..n*a-2 b<150",
        ("{name} has {n} {box} with {a} {thing} each. {He} (sells|uses|gives away) {b} {thing}.",
         "The {place} received {n} {box} of {a} {thing}, and {b} {thing} were sold on {day}.",
         "A {job} brings {n} {box} with {a} {thing} in each of them. {name} takes {b} {thing} for {his} {kin}."),
        ("How many {thing} are left?", "What number of {thing} remains?"),
        "There were [c = n * a] {thing}. There remain [d = c - b] {thing}.",
        "How many {thing} were there at first?"),
    Family(
        "seats", "n=4..9 a=6..25 b=10..n*a-3",
        ("A {place} has {n} rows of {a} seats. {b} people have come.",
         "There are {n} rows with {a} seats each for the show at the {place}, and {b} seats are taken.",
         "{name} sets up {n} rows of {a} chairs at the {place}. Then {b} guests sit down."),
        ("How many places are still free?", "How many are empty?"),
        "There are [c = n * a] places. [d = c - b] are free.",
        "How many places are there in all?"),
    Family(
        "saving_goal", "a=5..20 n=3..9 b=10..60 t=a*n+b+5..a*n+b+80",
        ("{name} wants {thing} that cost ${t}. {He} has ${b} and saves ${a} a week for {n} weeks.",
         "The {thing} at the {place} cost ${t}. {name} saves ${a} each week for {n} weeks and gets ${b} from a {kin}."),
        ("How many dollars are still missing?", "How much money does {name} still need?"),
        "The weeks bring [c = a * n] dollars. With the ${b} that is [d = c + b] dollars. [e = t - d] dollars "
        "are missing.",
        "How many dollars does {name} save in these weeks?"),
    Family(
        "two_legs", "v=20..70 h=2..5 w=20..70 k=2..5",
        ("A {ride} travels {h} hours at {v} miles per hour and then {k} hours at {w} miles per hour.",
         "{name} drives to the {place} at {v} miles per hour for {h} hours. After a rest, {he} drives {k} hours "
         "at {w} miles per hour."),
        ("How many miles is the whole trip?", "What is the total distance in miles?"),
        "The first part is [c = h * v] miles. The second part is [d = k * w] miles. The trip is [e = c + d] miles.",
        "How many miles is the first part of the trip?"),
    Family(
        "profit", "n=3..9 p=2..30~ k=2..15 q=p+k",
        ("{name} buys {n} {thing} for ${p} each and sells them for ${q} each.",
         "A {job} gets {n} {thing} at ${p} each and sells all of them at the {place} for ${q} each.",
         "On {day}, {name} sold {n} {thing} at ${q} each. They had cost ${p} each."),
        ("How many dollars is the profit?", "What is the profit in dollars?"),
        "Each one brings [c = q - p] dollars. The profit is [d = c * n] dollars.",
        "How many dollars does one of the {thing} bring?"),
    Family(
        "farm_legs", "a=3..40~ b=3..25~",
        ("On a farm there are {a} chickens and {b} cows.", "{name} sees {a} ducks and {b} sheep near the {place}.",
         "A {job} keeps {a} geese and {b} goats."),
        ("How many legs do the animals have in all?", "What is the total number of legs?"),
        "The birds have [c = a * 2] legs. The others have [d = b * 4] legs. In all there are [e = c + d] legs.",
        "How many legs do the birds have?"),
    Family(
        "dozens", "n=3..12 d=2..8 p=2..6 n*d%12<1",
        ("The hens of {name} lay {n} eggs a day. {He} sells a dozen eggs for ${p}.",
         "A {job} gets {n} eggs each day and sells them at the {place} for ${p} per dozen."),
        ("How many dollars do the eggs of {d} days bring?", "How much money comes from {d} days of eggs?"),
        "In {d} days there are [c = n * d] eggs. That is [e = c / 12] dozens. They bring [f = e * p] dollars."),
    Family(
        "pizza", "k=6|8|10 q=2..12 s=2..5 n=k*q//s n*s-k*q<1 k*q-n*s<1 n>3",
        ("{n} guests come to the party of {name}. Each guest eats {s} slices, and a pizza has {k} slices.",
         "At the {place}, {n} people eat {s} slices of pizza each. One pizza is cut into {k} slices."),
        ("How many pizzas are needed?", "How many pizzas must be ordered?"),
        "They eat [c = n * s] slices. That is [d = c / k] pizzas.",
        "How many slices are eaten?"),
    Family(
        "reading", "t=80..300~ a=8..30 d=2..9 t>a*d+5",
        ("{name} reads a book of {t} pages. {He} reads {a} pages a day for {d} days.",
         "A book from the {place} has {t} pages, and {name} reads {a} of them every day during {d} days."),
        ("How many pages are left to read?", "How many pages must {name} still read?"),
        "{name} reads [c = a * d] pages. [e = t - c] pages are left.",
        "How many pages does {name} read in these days?"),
    Family(
        "fraction_left", "d=2..9 q=3..20~ t=d*q",
        ("{name} has {t} {thing} and gives 1/{d} of them to {name2}.",
         "The {place} had {t} {thing}. On {day} it sold 1/{d} of them to {name}.",
         "A {job} bakes {t} {food}, and 1/{d} of them are eaten by {name} and a {kin}."),
        ("How many of them are left?", "What number of them remains?"),
        "1/{d} of them is [c = t / d]. [e = t - c] are left.",
        "How many of them is 1/{d}?"),
    Family(
        "fraction_then", "d=2..6 q=3..20 t=d*q b=3..40",
        ("{name} had {t} {thing}. {He} lost 1/{d} of them and then found {b} more.",
         "The {place} starts {day} with {t} {thing}, sells 1/{d} of them to {name} and then gets {b} new ones."),
        ("How many {thing} are there in the end?", "What is the number of {thing} at the end?"),
        "1/{d} of them is [c = t / d]. There remain [e = t - c]. Then there are [f = e + b] {thing}.",
        "How many {thing} is 1/{d} of them?"),
    Family(
        "half_price", "n=2|4|6|8|10|12 p=1..9 b=50|60|80|100 b>n*p+n",
        ("{name} buys {n} {thing} for ${p:h} each. {He} had ${b}.",
         "The {thing} at the {place} cost ${p:h} each. {name} pays for {n} of them with ${b}."),
        ("How many dollars does {name} have now?", "How much money does {name} have after that?"),
        "The whole dollars make [c = n * p]. The halves make [d = n / 2]. That is [e = c + d] dollars. "
        "{name} has [f = b - e] dollars.",
        "How much do the whole dollars make, without the halves?"),
    Family(
        "split_bill", "n=2..8 q=6..30 k=4..20 t=n*q-k t>10",
        ("{n} friends eat at the {place}. The food costs ${t} and the tip is ${k}. They share the bill equally.",
         "{name} and the others, {n} people in all, pay ${t} for a taxi and ${k} for a guide, and split the "
         "cost evenly."),
        ("How many dollars does each one pay?", "What is the share of each, in dollars?"),
        "The bill is [c = t + k] dollars. Each one pays [d = c / n] dollars.",
        "How many dollars is the whole bill?"),
    Family(
        "bus", "a=15..70~ b=3..a-3 c=3..30",
        ("A {ride} has {a} passengers. At the {place}, {b} get off and {c} get on.",
         "There are {a} people on the {ride}. When it stops near the {place}, {b} people leave and {c} people enter."),
        ("How many people are on the {ride} now?", "How many passengers does the {ride} have after that?"),
        "After {b} leave there are [d = a - b]. Then there are [e = d + c] people.",
        "How many people stay on the {ride} when the others leave?"),
    Family(
        "ribbon", "n=3..9 a=4..20 t=n*a+2..n*a+60",
        ("{name} has a rope of {t} meters and cuts {n} pieces of {a} meters from it.",
         "From a ribbon of {t} inches, a {job} cuts {n} parts of {a} inches each.",
         "A pipe at the {place} is {t} feet long. {name} saws off {n} pieces of {a} feet each."),
        ("How long is the rest?", "What length remains?"),
        "The pieces take [c = n * a]. The rest is [d = t - c].",
        "How long are all the pieces together?"),
    Family(
        "tank", "r=6..25 l=2..5 n=3..9",
        ("A tank gets {r} liters of {fluid} per minute and loses {l} liters per minute.",
         "{name} pumps {r} liters of {fluid} into a tank each minute, but {l} liters leak out each minute."),
        ("How many liters are in the tank after {n} minutes?", "How much {fluid} in liters is there after {n} "
                        "minutes?"),
        "Each minute adds [c = r - l] liters. After {n} minutes there are [d = c * n] liters.",
        "How many liters does each minute add?"),
    Family(
        "teams", "n=2..8 q=4..12 g=5..n*q-3 b=n*q-g",
        ("There are {g} girls and {b} boys at the {place}. They form teams of {n}.",
         "{name} invites {g} girls and {b} boys to the {place} on {day}. {n} of them fit at one table."),
        ("How many groups does that make?", "What is the number of groups?"),
        "There are [c = g + b] children. That makes [d = c / n] groups.",
        "How many children are there?"),
    Family(
        "tickets", "a=2..9 p=6..20~ b=2..9 q=2..10",
        ("{a} adults and {b} children visit the {place}. A ticket is ${p} for adults and ${q} for children.",
         "Tickets for the {place} cost ${p} for an adult and ${q} for a child. {name} pays for {a} adults and "
         "{b} children."),
        ("How much do all the tickets cost?", "What is the price of all the tickets in dollars?"),
        "The adults pay [c = a * p] dollars. The children pay [d = b * q] dollars. All pay [e = c + d] dollars.",
        "How many dollars do the tickets of the adults cost?"),
    Family(
        "percent_rest", "p=10|20|25|50 q=2..25 t=q*100//p",
        ("A school has {t} students, and {p}% of them walk to school. The others take the {ride}.",
         "Of {t} people at the {place}, {p}% are children and the others are adults.",
         "{name} owns {t} {thing}. {p}% of them are old and the others are new."),
        ("How many are the others?", "What is the number of the others?"),
        "{p}% means 1 of each [k = 100 / p]. That makes [c = t / k]. The others are [d = t - c]."),
    Family(
        "garden_rows", "n=2..9 a=3..9 p=2..9",
        ("{name} plants {n} rows of {a} {plant}. Each of the plants costs ${p}.",
         "In the garden of the {place} there are {n} rows with {a} {plant} each, bought at ${p} a piece."),
        ("How much do the {plant} cost in dollars?", "How many dollars were paid for the {plant}?"),
        "There are [c = n * a] {plant}. They cost [d = c * p] dollars.",
        "How many {plant} are there?"),
    Family(
        "load", "n=3..9 a=5..50~ w=100..900",
        ("A {ride} of {w} kilograms carries {n} bags of {stuff}. Each bag weighs {a} kilograms.",
         "{name} loads {n} bags of {stuff}, {a} kilograms each, on a {ride} that weighs {w} kilograms."),
        ("What is the total weight in kilograms?", "How many kilograms is that with the {ride}?"),
        "The bags weigh [c = n * a] kilograms. With the {ride} that is [d = c + w] kilograms.",
        "How many kilograms do the bags weigh?"),
    Family(
        "minutes", "n=3..9 a=5..20~ b=5..40~",
        ("{name} makes {n} {craft}. One takes {a} minutes, and in between {he} rests for {b} minutes.",
         "A {job} needs {a} minutes for each of {n} {craft} and has a break of {b} minutes."),
        ("How many minutes is that in all?", "How long does it all take, in minutes?"),
        "The work takes [c = n * a] minutes. With the rest it is [d = c + b] minutes.",
        "How many minutes does the work take without the rest?"),
    Family(
        "two_workers", "a=3..30~ b=3..30~ h=2..9",
        ("{name} makes {a} {craft} per hour and {name2} makes {b} {craft} per hour.",
         "At the {place}, a machine makes {a} {craft} an hour and a second machine makes {b} an hour."),
        ("How many {craft} do they make in {h} hours?", "How many {craft} are made by both in {h} hours?"),
        "In one hour they make [c = a + b] {craft}. In {h} hours they make [d = c * h] {craft}.",
        "How many {craft} do they make in one hour?"),
    Family(
        "at_first", "s=20..90~ a=3..s-2 b=3..40 c=s-a+b",
        ("{name} gave {a} {thing} to {name2} and then bought {b} {thing}. Now {he} has {c} {thing}.",
         "At the {place}, {a} {thing} were sold in the morning and {b} new {thing} came in the evening. Now "
         "there are {c} {thing}."),
        ("How many {thing} were there at first?", "How many {thing} were there to begin with?"),
        "Before the {b} came there were [d = c - b] {thing}. At first there were [e = d + a] {thing}.",
        "How many {thing} were there before the {b} came?"),
    Family(
        "packs_two", "n=2..9 a=3..12~ m=2..9 b=3..12~",
        ("{name} has {n} {box} of {a} {thing} and {m} {box2} of {b} {thing}.",
         "The {job} at the {place} opens {n} {box} with {a} {thing} each and {m} {box2} with {b} {thing} each.",
         "For the fair on {day}, {name} fills {n} {box} with {a} {thing} each and {m} {box2} with {b} each."),
        ("How many {thing} are there in total?", "What is the total number of {thing}?"),
        "The {box} hold [c = n * a]. The {box2} hold [d = m * b]. In total there are [e = c + d] {thing}.",
        "How many {thing} do the {box} hold?"),
    Family(
        "three_people", "a=10..60~ k=3..a-3 n=2..5",
        ("{name} has {a} {thing}. {name2} has {k} fewer than {name}. {name3} has {n} times as many as {name2}.",
         "{name} found {a} {thing} at the {place}, {name2} found {k} fewer, and {name3} found {n} times as many "
         "as {name2}."),
        ("How many {thing} does {name3} have?", "What is the number of {thing} of {name3}?"),
        "{name2} has [c = a - k] {thing}. {name3} has [d = c * n] {thing}.",
        "How many {thing} does {name2} have?"),
    Family(
        "phone_plan", "b=10..40 f=100..300 x=10..60 p=2..6 m=f+x",
        ("A phone plan costs ${b} with {f} free minutes. Each minute beyond costs ${p}. {name} talks for {m} minutes.",
         "{name} pays ${b} for {f} minutes and ${p} for each minute more. In one month {he} uses {m} minutes."),
        ("How many dollars is the phone bill?", "What does {name} pay in dollars?"),
        "There are [x = m - f] more minutes. They cost [c = x * p] dollars. The bill is [d = c + b] dollars.",
        "How many minutes more than the free ones are used?"),
    Family(
        "training", "n=2..6 a=5..20~ d=2..7",
        ("{name} does {n} sets of {a} push-ups every day.",
         "Each day at the {place}, {name} jumps rope in {n} rounds of {a} jumps."),
        ("How many is that in {d} days?", "What is the total after {d} days?"),
        "One day makes [c = n * a]. In {d} days that is [e = c * d].",
        "How many is that in one day?"),
    Family(
        "paint", "w=2..9 k=2..9 q=2..12 l=k*q*2//w l*w-k*q*2<1 k*q*2-l*w<1 l>w l<40",
        ("A wall at the {place} is {l} meters long and {w} meters high. One can of {fluid} covers {k} square meters.",
         "{name} covers a floor of {l} by {w} meters. One can is enough for {k} square meters."),
        ("How many cans are needed?", "How many cans does it take?"),
        "The area is [c = l * w] square meters. It takes [d = c / k] cans.",
        "What is the area in square meters?"),
    Family(
        "budget", "a=2..9 p=2..9 b=2..9 q=2..9 t=100|150|200|300",
        ("{name} has ${t} and buys {a} {thing} for ${p} each and {b} {thing2} for ${q} each.",
         "The {place} gives {name} ${t} to spend on {a} {thing} at ${p} each and {b} {thing2} at ${q} each."),
        ("How much money is left in dollars?", "How many dollars are not spent?"),
        "The {thing} cost [c = a * p] dollars. The {thing2} cost [d = b * q] dollars. That is [e = c + d] dollars. "
        "[f = t - e] dollars are left.",
        "How many dollars do the {thing} alone cost?"),
    Family(
        "guests", "n=4..20~ c=2..5 k=5..40 k<n*c",
        ("{name} expects {n} guests on {day}, and each guest needs {c} {toy}. {He} already has {k} {toy}.",
         "For a feast at the {place} there are {n} guests who need {c} {toy} each. {k} {toy} are ready."),
        ("How many more {toy} are needed?", "How many {toy} are still missing?"),
        "The guests need [d = n * c] {toy}. [e = d - k] are missing.",
        "How many {toy} do the guests need?"),
)  # fmt: skip
