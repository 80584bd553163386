"""Learning-rate schedules: immutable, closed-form functions of progress.

Exports each family's class by its class name; `FAMILIES` maps the names used in documents to the classes.
"""

from lehr.schedules.arrays import CurveArray as CurveArray
from lehr.schedules.base import Curve as Curve
from lehr.schedules.base import Schedule as Schedule
from lehr.schedules.compositions.builders import change_of_horizon as change_of_horizon
from lehr.schedules.compositions.builders import warmed_up as warmed_up
from lehr.schedules.documents import family_json_schema as family_json_schema
from lehr.schedules.documents import schedule_from_dict as schedule_from_dict
from lehr.schedules.documents import schedule_json_schema as schedule_json_schema
from lehr.schedules.families.plateau_state import PlateauState as PlateauState
from lehr.schedules.fitting.fit import Candidate as Candidate
from lehr.schedules.fitting.fit import fit as fit
from lehr.schedules.registry import *  # noqa: F403  # one registry line exports a family too
from lehr.schedules.sampling import MAX_HORIZON_STEPS as MAX_HORIZON_STEPS
