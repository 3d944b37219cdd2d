"""What the names of scores mean, in words: by the beginning of a score's name, the longest that fits."""

from __future__ import annotations

_WORDS = {
    "fd": "Fréchet distance: how far apart two clouds of features are, by their means and covariances; 0 is the same. "
    "The extractor that made the features stands in brackets. It is blind to copying.",
    "kd": "Kernel distance (squared maximum mean discrepancy, unbiased): 0 on average for the same distribution, and "
    "sometimes a little below.",
    "precision": "Share of what was made that lies where real data lies: fidelity. Blind to collapse onto a few items.",
    "recall": "Share of real data that lies where the model makes things: variety. What is low is never made.",
    "density": "How many real neighbourhoods an output lies in, over the number expected: fidelity. May exceed 1.",
    "coverage": "Share of real items near which something was made: variety.",
    "snow": "Share of pictures whose flat parts are grainy where those of fresh pictures are not.",
    "sharpness": "How much of a picture's contrast lies in edges, over the same for fresh pictures: low is blurred.",
    "variety": "Share of held-out pictures whose kind is made at least a fifth as often as it should be.",
    "nn ratio": "Median distance from an output to the nearest training item, over the same for held-out items: 1 is "
    "like fresh data, well below 1 is copying, well above 1 is noise.",
    "copies": "Share of outputs that are, or all but are, one particular training item.",
    "authenticity": "Share of outputs that are further from their nearest training item than that item is from its "
    "own nearest neighbour.",
    "c_t": "Data-copying test (Meehan et al. 2020): far below 0 is nearer to the training set than held-out data is.",
    "bits/": "Bits that the model needs for one unit (dimension, byte, column) of held-out data: the likelihood. An "
    "exact value, an upper bound and an estimate are different scores and never share a column.",
    "energy": "Energy distance: 0 if and only if two distributions are the same (Székely & Rizzo 2004).",
    "agreement": "How often a classifier sees in an output the class that was asked for.",
    "c2st-": "How well a classifier tells what was made from held-out data, as the area under its curve: 0.5 is not at "
    "all, which is best; 1 is always.",
    "energy p-value": "How often a difference as large would come about by chance if the distributions were the same.",
    "on the data": "Share of points that lie near a mode of the known distribution.",
    "modes hit": "Of the known modes of the distribution, how many are hit.",
    "mode balance": "How evenly the modes are hit: 1 is as in the known distribution.",
    "column shapes": "How alike each column's distribution is to the real one, mean over columns: 1 is the same. Blind "
    "to how columns hang together.",
    "pair trends": "How alike the associations of pairs of columns are to the real ones: 1 is the same.",
    "duplicates": "Share of made rows that equal a training row.",
    "closer to train": "Share of made rows nearer to a training row than to a held-out one; half for fresh data.",
    "dcr ratio": "Distance to the closest training record over that of held-out rows: a detector of copies, not a "
    "measure of privacy.",
    "row copies": "Share of made rows far nearer to one training row than its own neighbours are; what fresh rows "
    "score stands in the caveat. More than that is copying.",
    "table gap": "How far made rows are from real ones, from 0 (like fresh real rows) to 1: the mean of how well trees "
    "tell them apart, how far the correlations of pairs are off, the columns' shapes, and what is lost when columns "
    "are predicted from one another.",
    "mode coverage": "Share of the data in kinds of rows that are made at least a quarter as often as they should be.",
    "value coverage": "Share of the values and tails of columns, of those that fresh rows would show, that are made.",
    "tstr": "Train on synthetic, test on real: how right a classifier that learnt from made rows is on real ones.",
    "tstr gap": "How much is lost against a classifier that learnt from real rows.",
    "told apart": "How well a judge tells spans of it from fresh text: 0.5 not at all, 1 always. It ranks text.",
    "rules kept": "Share of items that keep the rules that all training items keep, brackets that pair among them.",
    "reference bits": "Bits a character by a model of the training text. More than fresh text takes is salad.",
    "known": "Share of its words, or strings of five characters, that stand in the training text.",
    "loops": "Share of a text's strings of 20 characters that it has used before.",
    "sameness": "Share of a text's strings of 20 characters that stand in another made text too.",
    "repeats": "Share of items that are made more than once.",
    "near copies": "Share of items that are one character away from a training item.",
    "distinct-": "Share of n-grams that are different from one another: variety of text.",
    "repetition": "Share of a text's phrases of four words that it has already used.",
    "shared phrases": "Share of phrases of four words that occur in another text too: high is monotony.",
    "seen ": "Share of passages of that length that stand word for word in the training text.",
    "longest match": "Characters of the longest passage that also stands in the training text.",
}


def explain(name: str) -> str:
    """What a score means; an empty string where there is nothing to say."""
    low = name.lower()
    fitting = [start for start in _WORDS if low.startswith(start)]
    return _WORDS[max(fitting, key=len)] if fitting else ""
