using TorchSharp.Binding;

namespace TorchSharp;

public static partial class torch
{
    // Arithmetic with another tensor or a number, new and in place.
    public partial class Tensor
    {
        public Tensor add(Tensor target) => Ops.add__Tensor.Of(this, target);
        public Tensor add(Tensor target, Scalar alpha) => Ops.add__Tensor.Call(this, target, alpha);
        public Tensor add(Scalar scalar) => Ops.add__Scalar.Call(this, scalar);
        public Tensor add(Scalar scalar, Scalar alpha) => Ops.add__Scalar.Call(this, scalar, alpha);
        public Tensor add_(Tensor target) => Ops.add___Tensor.InPlace(this, target);
        public Tensor add_(Tensor target, Scalar alpha) => Ops.add___Tensor.InPlace(this, target, alpha);
        public Tensor add_(Scalar scalar) => Ops.add___Scalar.InPlace(this, scalar);
        public Tensor add_(Scalar scalar, Scalar alpha) => Ops.add___Scalar.InPlace(this, scalar, alpha);
        public Tensor sub(Tensor target) => Ops.sub__Tensor.Of(this, target);
        public Tensor sub(Scalar target) => Ops.sub__Scalar.Call(this, target);
        public Tensor sub_(Tensor target) => Ops.sub___Tensor.InPlace(this, target);
        public Tensor sub_(Scalar target) => Ops.sub___Scalar.InPlace(this, target);
        public Tensor subtract(Tensor target) => sub(target);
        public Tensor subtract(Scalar target) => sub(target);
        public Tensor subtract_(Tensor target) => sub_(target);
        public Tensor subtract_(Scalar target) => sub_(target);
        public Tensor mul(Tensor target) => Ops.mul__Tensor.Of(this, target);
        public Tensor mul(Scalar target) => Ops.mul__Scalar.Call(this, target);
        public Tensor mul_(Tensor target) => Ops.mul___Tensor.InPlace(this, target);
        public Tensor mul_(Scalar target) => Ops.mul___Scalar.InPlace(this, target);
        public Tensor multiply(Tensor target) => mul(target);
        public Tensor multiply(Scalar target) => mul(target);
        public Tensor div(Tensor target, RoundingMode rounding_mode = RoundingMode.None) => rounding_mode == RoundingMode.None ? Ops.div__Tensor.Of(this, target) : Ops.div__Tensor_mode.Call(this, target, Name(rounding_mode));
        public Tensor div(Scalar target, RoundingMode rounding_mode = RoundingMode.None) => rounding_mode == RoundingMode.None ? Ops.div__Scalar.Call(this, target) : Ops.div__Scalar_mode.Call(this, target, Name(rounding_mode));
        public Tensor div_(Tensor target, RoundingMode rounding_mode = RoundingMode.None) => rounding_mode == RoundingMode.None ? Ops.div___Tensor.InPlace(this, target) : Ops.div___Tensor_mode.InPlace(this, target, Name(rounding_mode));
        public Tensor div_(Scalar target, RoundingMode rounding_mode = RoundingMode.None) => rounding_mode == RoundingMode.None ? Ops.div___Scalar.InPlace(this, target) : Ops.div___Scalar_mode.InPlace(this, target, Name(rounding_mode));
        public Tensor divide(Tensor target, RoundingMode rounding_mode = RoundingMode.None) => div(target, rounding_mode);
        public Tensor divide(Scalar target, RoundingMode rounding_mode = RoundingMode.None) => div(target, rounding_mode);
        public Tensor divide_(Tensor target, RoundingMode rounding_mode = RoundingMode.None) => div_(target, rounding_mode);
        public Tensor divide_(Scalar target, RoundingMode rounding_mode = RoundingMode.None) => div_(target, rounding_mode);
        public Tensor true_divide(Tensor other) => Ops.div__Tensor.Of(this, other);
        public Tensor true_divide(Scalar other) => Ops.div__Scalar.Call(this, other);
        public Tensor true_divide_(Tensor other) => Ops.div___Tensor.InPlace(this, other);
        public Tensor true_divide_(Scalar other) => Ops.div___Scalar.InPlace(this, other);
        public Tensor floor_divide(Tensor other) => Ops.floor_divide.Of(this, other);
        public Tensor floor_divide(Scalar other) => Ops.floor_divide__Scalar.Call(this, other);
        public Tensor floor_divide_(Tensor other) => Ops.floor_divide___Tensor.InPlace(this, other);
        public Tensor floor_divide_(Scalar other) => Ops.floor_divide___Scalar.InPlace(this, other);
        public Tensor fmod(Tensor target) => Ops.fmod__Tensor.Of(this, target);
        public Tensor fmod(Scalar scalar) => Ops.fmod__Scalar.Call(this, scalar);
        public Tensor fmod_(Tensor target) => Ops.fmod___Tensor.InPlace(this, target);
        public Tensor fmod_(Scalar scalar) => Ops.fmod___Scalar.InPlace(this, scalar);
        public Tensor remainder(Tensor target) => Ops.remainder__Tensor.Of(this, target);
        public Tensor remainder(Scalar scalar) => Ops.remainder__Scalar.Call(this, scalar);
        public Tensor remainder_(Tensor target) => Ops.remainder___Tensor.InPlace(this, target);
        public Tensor remainder_(Scalar scalar) => Ops.remainder___Scalar.InPlace(this, scalar);
        public Tensor pow(Tensor exponent) => Ops.pow__Tensor_Tensor.Of(this, exponent);
        public Tensor pow(Scalar exponent) => Ops.pow__Tensor_Scalar.Call(this, exponent);
        public Tensor pow_(Tensor exponent) => Ops.pow___Tensor.InPlace(this, exponent);
        public Tensor pow_(Scalar exponent) => Ops.pow___Scalar.InPlace(this, exponent);
        public Tensor float_power(Tensor target) => Ops.float_power__Tensor_Tensor.Of(this, target);

        public Tensor addcmul(Tensor tensor1, Tensor tensor2, Scalar value) => Ops.addcmul.Call(this, tensor1, tensor2, value);
        public Tensor addcmul_(Tensor tensor1, Tensor tensor2, Scalar value) => Ops.addcmul_.InPlace(this, tensor1, tensor2, value);
        public Tensor addcdiv(Tensor tensor1, Tensor tensor2, Scalar value) => Ops.addcdiv.Call(this, tensor1, tensor2, value);
        public Tensor addcdiv(Tensor tensor1, Tensor tensor2) => Ops.addcdiv.Call(this, tensor1, tensor2);
        public Tensor addcdiv_(Tensor tensor1, Tensor tensor2, Scalar value) => Ops.addcdiv_.InPlace(this, tensor1, tensor2, value);
        public Tensor addcdiv_(Tensor tensor1, Tensor tensor2) => Ops.addcdiv_.InPlace(this, tensor1, tensor2);
        public Tensor lerp(Tensor end, Tensor weight) => Ops.lerp__Tensor.Call(this, end, weight);
        public Tensor lerp_(Tensor end, Tensor weight) => Ops.lerp___Tensor.InPlace(this, end, weight);
        public Tensor clamp(Scalar? min = null, Scalar? max = null) => Ops.clamp.Call(this, Arg.Optional(min), Arg.Optional(max));
        public Tensor clamp(Tensor? min = null, Tensor? max = null) => Ops.clamp__Tensor.Call(this, Arg.Optional(min), Arg.Optional(max));
        public Tensor clamp_(Scalar? min = null, Scalar? max = null) => Ops.clamp_.InPlace(this, Arg.Optional(min), Arg.Optional(max));
        public Tensor clamp_(Tensor? min = null, Tensor? max = null) => Ops.clamp___Tensor.InPlace(this, Arg.Optional(min), Arg.Optional(max));
        public Tensor clamp_max(Scalar max) => Ops.clamp_max.Call(this, max);
        public Tensor clamp_max_(Scalar max) => Ops.clamp_max_.InPlace(this, max);
        public Tensor clamp_min(Scalar min) => Ops.clamp_min.Call(this, min);
        public Tensor clamp_min_(Scalar min) => Ops.clamp_min_.InPlace(this, min);
        public Tensor clip(Scalar? min = null, Scalar? max = null) => clamp(min, max);
        public Tensor maximum(Tensor other) => Ops.maximum.Of(this, other);
        public Tensor minimum(Tensor other) => Ops.minimum.Of(this, other);
        public Tensor fmax(Tensor other) => Ops.fmax.Of(this, other);
        public Tensor fmin(Tensor other) => Ops.fmin.Of(this, other);

        public Tensor arctan(Tensor other) => Ops.atan2.Of(this, other);
        public Tensor arctan_(Tensor other) => Ops.atan2_.InPlace(this, other);
        public Tensor arctan2(Tensor other) => Ops.atan2.Of(this, other);
        public Tensor arctan2_(Tensor other) => Ops.atan2_.InPlace(this, other);
        public Tensor atan2(Tensor other) => Ops.atan2.Of(this, other);
        public Tensor atan2_(Tensor other) => Ops.atan2_.InPlace(this, other);
        public Tensor copysign(Tensor other) => Ops.copysign__Tensor.Of(this, other);
        public Tensor dist(Tensor other, float p = 2f) => Ops.dist.Call(this, other, p);
        public Tensor gcd(Tensor other) => Ops.gcd.Of(this, other);
        public Tensor gcd_(Tensor other) => Ops.gcd_.InPlace(this, other);
        public Tensor heaviside(Tensor other) => Ops.heaviside.Of(this, other);
        public Tensor hypot(Tensor other) => Ops.hypot.Of(this, other);
        public Tensor lcm(Tensor other) => Ops.lcm.Of(this, other);
        public Tensor lcm_(Tensor other) => Ops.lcm_.InPlace(this, other);
        public Tensor ldexp(Tensor other) => Ops.ldexp__Tensor.Of(this, other);
        public Tensor ldexp_(Tensor other) => Ops.ldexp_.InPlace(this, other);
        public Tensor logaddexp(Tensor other) => Ops.logaddexp.Of(this, other);
        public Tensor logaddexp2(Tensor other) => Ops.logaddexp2.Of(this, other);
        public Tensor nextafter(Tensor other) => Ops.nextafter.Of(this, other);
        public Tensor xlogy(Tensor y) => Ops.xlogy__Tensor.Of(this, y);
        public Tensor xlogy(Scalar y) => Ops.xlogy__Scalar_Other.Call(this, y);
        public Tensor xlogy_(Tensor y) => Ops.xlogy___Tensor.InPlace(this, y);
        public Tensor xlogy_(Scalar y) => Ops.xlogy___Scalar_Other.InPlace(this, y);

        private static string Name(RoundingMode mode) => mode == RoundingMode.floor ? "floor" : "trunc";
    }
}
