"""Data sets: labelled images, and the pairs of noisy and clean ones that the awake phase learns from."""

from sleepdefense.data.attributes import AttributeAccuracy, AttributeSet, attribute_accuracy
from sleepdefense.data.catalogue import DATASETS, Dataset
from sleepdefense.data.celeba import load_celeba
from sleepdefense.data.image_set import ImageSet
from sleepdefense.data.load import load_data
from sleepdefense.data.locate import DatasetRow, describe_datasets
from sleepdefense.data.pairs import PairSet, to_8_bit, to_intensities

__all__ = [
    "DATASETS",
    "AttributeAccuracy",
    "AttributeSet",
    "Dataset",
    "DatasetRow",
    "ImageSet",
    "PairSet",
    "attribute_accuracy",
    "describe_datasets",
    "load_celeba",
    "load_data",
    "to_8_bit",
    "to_intensities",
]
