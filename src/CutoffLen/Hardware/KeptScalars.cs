using TorchSharp;

namespace CutoffLen.Hardware;

/// <summary>
/// Numbers for torch's operators. TorchSharp 0.107 hands an operator the pointer of a <see cref="Scalar"/> and does not keep the object
/// alive. A garbage collection of another thread can free it during the call, and the operator fails or reads other bytes. The
/// last scalars of each thread are kept here, so an operator gets <c>x.mul_(Kept(0.5))</c> instead of <c>x.mul_(0.5)</c>.
/// </summary>
public static class KeptScalars
{
    private const int Count = 16; // more than one call takes

    [ThreadStatic]
    private static Scalar[]? last;

    [ThreadStatic]
    private static int next;

    /// <summary>A floating-point scalar that lives through the next operator call of this thread.</summary>
    public static Scalar Kept(double value) => Keep(value);

    /// <summary>An integer scalar that lives through the next operator call of this thread.</summary>
    public static Scalar Kept(long value) => Keep(value);

    private static Scalar Keep(Scalar scalar)
    {
        last ??= new Scalar[Count];
        next = (next + 1) % Count;
        return last[next] = scalar;
    }
}
