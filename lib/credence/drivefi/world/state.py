"""Where things stand in the one array that is the whole state of a run, and how a fault changes a value.

One flat array makes a snapshot one copy and "the same state" one comparison: a faulty run may start from the golden
run's snapshot, and may stop when it is back on it.
"""

from credence.drivefi.data.variables import INDEX, SENSOR_RANGE_M
from credence.drivefi.world.compiled import helper

# car
DISTANCE, OFFSET, HEADING, SPEED, ACCELERATION = 0, 1, 2, 3, 4
THROTTLE_NOW, BRAKE_NOW, STEER_NOW = 5, 6, 7  # what the actuators have reached
# memory of the stack
THROTTLE, BRAKE, RAW_STEER, INTEGRAL, REFERENCE, DEMAND = 8, 9, 10, 11, 12, 13
POSITION, CURVATURE, OBSTACLE_SPEED, OBSTACLE_ACCELERATION, OBSTACLE_WHO, OBSTACLE_GAP = 14, 15, 16, 17, 18, 19
# of each actor: its track, and when it was triggered
ACTOR = 20
HITS, MISSES, GAP, RATE, P_GAP, P_BOTH, P_RATE, LATERAL, LATERAL_RATE, KIND, TRIGGER = range(11)
PER_ACTOR = 11

NO_OBSTACLE_M = SENSOR_RANGE_M

V_VELOCITY = INDEX["vehicle_velocity"]
V_ACCELERATION = INDEX["vehicle_acceleration"]
V_HEADING = INDEX["vehicle_heading"]
V_LANE_TYPE = INDEX["lane_type"]
V_LANE_WIDTH = INDEX["lane_width"]
V_CURVATURE = INDEX["lane_curvature"]
V_POSITION = INDEX["vehicle_position"]
V_CAMERA_CLASS = INDEX["camera_object_class"]
V_CAMERA = INDEX["camera_object_distance"]
V_LIDAR_CLASS = INDEX["lidar_object_class"]
V_LIDAR = INDEX["lidar_object_distance"]
V_FUSED_CLASS = INDEX["fused_obstacle_class"]
V_FUSED = INDEX["fused_obstacle_distance"]
V_OBSTACLE = INDEX["obstacle_position"]
V_OBSTACLE_SPEED = INDEX["obstacle_velocity"]
V_OBSTACLE_ACCELERATION = INDEX["obstacle_acceleration"]
V_RAW_THROTTLE = INDEX["raw_throttle"]
V_RAW_BRAKE = INDEX["raw_brake"]
V_RAW_STEER = INDEX["raw_steer"]
V_PID_IN = INDEX["pid_measured_value"]
V_PID_OUT = INDEX["pid_output"]
V_THROTTLE = INDEX["throttle"]
V_BRAKE = INDEX["brake"]
V_STEER = INDEX["steer"]


@helper
def output(row, index, value, fault):
    """Return a module's output as the next module reads it: corrupted if the fault says so; and log it.

    Parameters
    ----------
    row : array [variables]
        Log of this scene.
    index : int
        Which variable.
    value : float
        What the module computed.
    fault : tuple (int, float, float)
        Variable (-1: none), factor and addend: the output is ``factor * value + addend``.
    """
    if index == fault[0]:
        value = fault[1] * value + fault[2]
    row[index] = value
    return value


@helper
def clip(value, low, high):
    """Return `value` within [low, high]."""
    return min(max(value, low), high)
