namespace CutoffLen.Common;

/// <summary>The search for the largest number of which something still holds.</summary>
internal static class Bisection
{
    /// <summary>The largest number, at most <paramref name="most"/>, of which a condition holds.</summary>
    /// <param name="least">It holds of this one.</param>
    /// <param name="most">The largest number to be tried.</param>
    /// <param name="holds">The condition: where it does not hold of a number, it holds of no larger one.</param>
    public static int Largest(int least, int most, Func<int, bool> holds)
    {
        var (fits, next) = (least, least + 1);
        while (fits < most && holds(next))
        {
            (fits, next) = (next, (int)Math.Min(most, 2L * next));
        }

        while (next - fits > 1)
        {
            var middle = fits + ((next - fits) / 2);
            (fits, next) = holds(middle) ? (middle, next) : (fits, middle);
        }

        return fits;
    }
}
