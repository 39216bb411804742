//! Order: who stands above whom in a layer, so that few lines cross.
//!
//! Sweeps from left to right and back, each node to the mean place of its neighbours in the layer that was just done; the best order
//! that was seen is kept. Then neighbours change places where that alone takes crossings away.

use super::layers::Layered;

/// Sweeps over all layers; after these the count has hardly ever become smaller.
const SWEEPS: usize = 24;

/// Sweeps without a gain after which the rest is not worth the time.
const PATIENCE: usize = 6;

/// Rounds of neighbours that change places.
const SWAPS: usize = 4;

/// The nodes of each layer, from top to bottom.
pub(super) fn arrange(layered: &Layered) -> Vec<Vec<usize>> {
    let neighbours = layered.neighbours();
    let mut order = walked(layered, &neighbours);
    let mut place = places(&order, layered.layer.len());
    let mut best = (crossings(&order, &neighbours, &place), order.clone());
    let mut without_gain = 0;
    for sweep in 0..SWEEPS {
        let to_right = sweep % 2 == 0;
        let side = usize::from(!to_right);
        for step in 1..order.len() {
            let layer = if to_right { step } else { order.len() - 1 - step };
            sort(&mut order[layer], side, &neighbours, &mut place);
        }
        let count = crossings(&order, &neighbours, &place);
        if count < best.0 {
            best = (count, order.clone());
            without_gain = 0;
        } else {
            without_gain += 1;
        }
        if best.0 == 0 || without_gain == PATIENCE {
            break;
        }
    }
    let mut order = best.1;
    if best.0 > 0 {
        let mut place = places(&order, layered.layer.len());
        swap(&mut order, &neighbours, &mut place);
    }
    order
}

/// In the order of a walk from the left: what hangs together stands together.
fn walked(layered: &Layered, neighbours: &[[Vec<usize>; 2]]) -> Vec<Vec<usize>> {
    let mut order = vec![Vec::new(); layered.layers];
    let mut seen = vec![false; layered.layer.len()];
    for start in 0..layered.layer.len() {
        let mut walk = vec![start];
        while let Some(node) = walk.pop() {
            if std::mem::replace(&mut seen[node], true) {
                continue;
            }
            order[layered.layer[node]].push(node);
            let [left, right] = &neighbours[node];
            walk.extend(left.iter().rev().chain(right.iter().rev()));
        }
    }
    order
}

fn places(order: &[Vec<usize>], count: usize) -> Vec<usize> {
    let mut place = vec![0; count];
    for layer in order {
        for (index, node) in layer.iter().enumerate() {
            place[*node] = index;
        }
    }
    place
}

/// Sorts a layer by the mean place of neighbours on one side. A node without any stays where it is.
fn sort(layer: &mut [usize], side: usize, neighbours: &[[Vec<usize>; 2]], place: &mut [usize]) {
    // Twelve bits behind the point, in whole numbers: sums of floats would depend on their order.
    let mean = |node: usize| {
        let near = &neighbours[node][side];
        let sum: usize = near.iter().map(|it| place[*it]).sum();
        (sum << 12).checked_div(near.len())
    };
    let means: Vec<Option<usize>> = layer.iter().map(|node| mean(*node)).collect();
    let mut sorted: Vec<(usize, usize)> = layer
        .iter()
        .zip(&means)
        .filter_map(|(node, mean)| mean.map(|mean| (mean, *node)))
        .collect();
    sorted.sort_by_key(|(mean, _)| *mean);
    let mut sorted = sorted.into_iter();
    for (node, mean) in layer.iter_mut().zip(means) {
        if mean.is_some()
            && let Some((_, next)) = sorted.next()
        {
            *node = next;
        }
    }
    for (index, node) in layer.iter().enumerate() {
        place[*node] = index;
    }
}

/// How many segments cross in the whole picture.
fn crossings(order: &[Vec<usize>], neighbours: &[[Vec<usize>; 2]], place: &[usize]) -> usize {
    let mut count = 0;
    for (index, layer) in order.iter().enumerate() {
        // Ends on the right, in the order of their beginnings; two in the wrong order are a crossing. A tree of sums counts them.
        let mut sums = vec![0_usize; order.get(index + 1).map_or(0, Vec::len) + 1];
        let mut before = 0;
        for node in layer {
            let mut ends: Vec<usize> = neighbours[*node][1].iter().map(|it| place[*it]).collect();
            ends.sort_unstable();
            for &end in &ends {
                let (mut at, mut not_above) = (end + 1, 0);
                while at > 0 {
                    not_above += sums[at];
                    at &= at - 1;
                }
                count += before - not_above;
            }
            before += ends.len();
            for end in ends {
                let mut at = end + 1;
                while at < sums.len() {
                    sums[at] += 1;
                    at += at & at.wrapping_neg();
                }
            }
        }
    }
    count
}

/// Lets neighbours change places as long as crossings go.
fn swap(order: &mut [Vec<usize>], neighbours: &[[Vec<usize>; 2]], place: &mut [usize]) {
    let crossed = |above: usize, below: usize, place: &[usize]| -> usize {
        let count = |side: usize| -> usize {
            let (above, below) = (&neighbours[above][side], &neighbours[below][side]);
            let wrong =
                |it: &usize| below.iter().filter(|other| place[**other] < place[*it]).count();
            above.iter().map(wrong).sum()
        };
        count(0) + count(1)
    };
    for _ in 0..SWAPS {
        let mut gained = false;
        for layer in order.iter_mut() {
            for index in 1..layer.len() {
                let (above, below) = (layer[index - 1], layer[index]);
                if crossed(above, below, place) > crossed(below, above, place) {
                    layer.swap(index - 1, index);
                    (place[above], place[below]) = (index, index - 1);
                    gained = true;
                }
            }
        }
        if !gained {
            break;
        }
    }
}
