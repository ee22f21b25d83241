"""The paper's other half: index data, train, cross-validate, tune, distil and publish.

The way of a data set, each step a command of `python -m detector`:

    index FOLDER --extract FACES      clips or pictures -> face crops, one table, hulls
    train --data FACES --preset ...   one run: runs/NAME/history.jsonl and best.ckpt
    train --data FACES --folds 5      k runs that share no source video or person
    tune --data FACES --trials 20     an Optuna study; both go on where they were stopped
    publish runs/NAME ...             history to assets/training, better weights to assets/models

`--quick` shrinks any of them to minutes on two CPU cores. Nothing is imported here: `history`,
`summaries` and `presets` stay light enough for a page, and everything that needs PyTorch is
imported by the command that runs it.
"""
