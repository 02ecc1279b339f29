using TorchSharp.Binding;

namespace TorchSharp;

public static partial class torch
{
    // Comparisons and logic, element by element.
    public partial class Tensor
    {
        public Tensor eq(Tensor target) => Ops.eq__Tensor.Of(this, target);
        public Tensor eq(Scalar target) => Ops.eq__Scalar.Call(this, target);
        public Tensor eq_(Tensor target) => Ops.eq___Tensor.InPlace(this, target);
        public Tensor eq_(Scalar target) => Ops.eq___Scalar.InPlace(this, target);
        public Tensor ne(Tensor target) => Ops.ne__Tensor.Of(this, target);
        public Tensor ne(Scalar target) => Ops.ne__Scalar.Call(this, target);
        public Tensor ne_(Tensor target) => Ops.ne___Tensor.InPlace(this, target);
        public Tensor ne_(Scalar target) => Ops.ne___Scalar.InPlace(this, target);
        public Tensor lt(Tensor target) => Ops.lt__Tensor.Of(this, target);
        public Tensor lt(Scalar target) => Ops.lt__Scalar.Call(this, target);
        public Tensor lt_(Tensor target) => Ops.lt___Tensor.InPlace(this, target);
        public Tensor lt_(Scalar target) => Ops.lt___Scalar.InPlace(this, target);
        public Tensor le(Tensor target) => Ops.le__Tensor.Of(this, target);
        public Tensor le(Scalar target) => Ops.le__Scalar.Call(this, target);
        public Tensor le_(Tensor target) => Ops.le___Tensor.InPlace(this, target);
        public Tensor le_(Scalar target) => Ops.le___Scalar.InPlace(this, target);
        public Tensor gt(Tensor target) => Ops.gt__Tensor.Of(this, target);
        public Tensor gt(Scalar target) => Ops.gt__Scalar.Call(this, target);
        public Tensor gt_(Tensor target) => Ops.gt___Tensor.InPlace(this, target);
        public Tensor gt_(Scalar target) => Ops.gt___Scalar.InPlace(this, target);
        public Tensor ge(Tensor target) => Ops.ge__Tensor.Of(this, target);
        public Tensor ge(Scalar target) => Ops.ge__Scalar.Call(this, target);
        public Tensor ge_(Tensor target) => Ops.ge___Tensor.InPlace(this, target);
        public Tensor ge_(Scalar target) => Ops.ge___Scalar.InPlace(this, target);
        public Tensor equal(Tensor target) => eq(target);
        public Tensor not_equal(Tensor target) => ne(target);
        public Tensor less(Tensor target) => lt(target);
        public Tensor less_equal(Tensor target) => le(target);
        public Tensor greater(Tensor target) => gt(target);
        public Tensor greater_equal(Tensor target) => ge(target);
        public Tensor less_equal_(Tensor target) => le_(target);
        public Tensor not_equal_(Tensor target) => ne_(target);
        public bool allclose(Tensor target, double rtol = 1E-05, double atol = 1E-08, bool equal_nan = false) => Ops.allclose.CallValue(this, target, rtol, atol, equal_nan).Bits != 0;
        public Tensor isclose(Tensor other, double rtol = 1E-05, double atol = 1E-08, bool nanEqual = false) => Ops.isclose.Call(this, other, rtol, atol, nanEqual);
        public Tensor isin(Tensor test_elements, bool assumeUnique = false, bool invert = false) => Ops.isin__Tensor_Tensor.Call(this, test_elements, assumeUnique, invert);
        public bool is_nonzero() => Ops.is_nonzero.CallValue(this).Bits != 0;

        public Tensor bitwise_and(Tensor other) => Ops.bitwise_and__Tensor.Of(this, other);
        public Tensor bitwise_and_(Tensor other) => Ops.bitwise_and___Tensor.InPlace(this, other);
        public Tensor bitwise_or(Tensor other) => Ops.bitwise_or__Tensor.Of(this, other);
        public Tensor bitwise_or_(Tensor other) => Ops.bitwise_or___Tensor.InPlace(this, other);
        public Tensor bitwise_xor(Tensor other) => Ops.bitwise_xor__Tensor.Of(this, other);
        public Tensor bitwise_xor_(Tensor other) => Ops.bitwise_xor___Tensor.InPlace(this, other);
        public Tensor bitwise_left_shift(Tensor other) => Ops.bitwise_left_shift__Tensor.Of(this, other);
        public Tensor bitwise_left_shift_(Tensor other) => Ops.bitwise_left_shift___Tensor.InPlace(this, other);
        public Tensor bitwise_right_shift(Tensor other) => Ops.bitwise_right_shift__Tensor.Of(this, other);
        public Tensor bitwise_right_shift_(Tensor other) => Ops.bitwise_right_shift___Tensor.InPlace(this, other);
        public Tensor logical_and(Tensor other) => Ops.logical_and.Of(this, other);
        public Tensor logical_and_(Tensor other) => Ops.logical_and_.InPlace(this, other);
        public Tensor logical_or(Tensor other) => Ops.logical_or.Of(this, other);
        public Tensor logical_or_(Tensor other) => Ops.logical_or_.InPlace(this, other);
        public Tensor logical_xor(Tensor other) => Ops.logical_xor.Of(this, other);
        public Tensor logical_xor_(Tensor other) => Ops.logical_xor_.InPlace(this, other);
    }
}
