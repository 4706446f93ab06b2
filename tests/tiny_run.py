"""Settings of a run small enough for the tests: 96 digits, tiny networks, one attack."""

from sleepdefense.config import ExperimentConfig, config_from_mapping


def tiny(**changes: object) -> ExperimentConfig:
    """Settings of a run of a few seconds."""
    return config_from_mapping(
        {
            "name": "tiny",
            "data": {"name": "digits", "limit": 96, "held_out": 32},
            "classifier": {"model": "c4", "settings": {"hidden": 16}, "epochs": 2, "batch_size": 16},
            "pairs": {"attacks": "FGSM,GaussianNoise"},
            "awake": {
                "model": "fc-vae",
                "settings": {"hidden": 24, "latent": 4},
                "epochs": 2,
                "batch_size": 16,
            },
            "conversion": {"images": 32, "report_images": 8, "report_steps": [4, 32]},
            "sleep": {"settings": {"num_steps": 8, "batch_size": 16}, "controls": ["shuffled"]},
            "evaluation": {"attacks": "FGSM", "images": 24, "batch_size": 12, "checks": False},
            **changes,
        }
    )
