using CutoffLen.Common;

namespace CutoffLen.Evaluation.PosGen;

/// <summary>On which earlier numbers the next one depends, besides the nearest.</summary>
public enum PosGenFamily
{
    /// <summary>Those just before the nearest: every number depends on as near a past.</summary>
    Recurrent,

    /// <summary>The first ones, as in a chain of thought, where each step goes back to the question.</summary>
    Cot,

    /// <summary>Those at a pointer that moves on by one for two numbers: the distance grows with the position.</summary>
    SemiRecurrent,
}

/// <summary>
/// PosGen (Resonance RoPE, arXiv 2403.00071, section 5; sheryc/resonance_rope, src/data/components): each number of a sequence is
/// the sum of <paramref name="Far"/> far and <paramref name="Near"/> near ones, modulo <paramref name="Modulus"/>. A rule
/// that is learned at short sequences holds at longer ones, so only the position method stands between the two.
/// </summary>
/// <param name="Family">The far numbers.</param>
/// <param name="Modulus">17 in the authors' command.</param>
/// <param name="Far">j of the paper.</param>
/// <param name="Near">k of the paper.</param>
public sealed record PosGenTask(PosGenFamily Family, int Modulus = 17, int Far = 1, int Near = 3)
{
    /// <summary>Numbers that a sequence begins with and that nothing predicts.</summary>
    public int Seeds => Far + Near;

    /// <summary>
    /// Sequences, always the same: their first numbers are the combinations of different numbers below the modulus in order,
    /// again from the first after the last. As in the authors' code, sequences for training and for measuring overlap when
    /// there are fewer combinations than sequences: accuracy within the trained length is then that of training.
    /// </summary>
    /// <param name="first">How many are left out.</param>
    /// <param name="count">How many are made.</param>
    /// <param name="length">Numbers of each.</param>
    /// <exception cref="UserException">The modulus has too few numbers.</exception>
    public IEnumerable<int[]> Sequences(int first, int count, int length)
    {
        if (Modulus < Seeds)
        {
            throw new UserException($"--modulus {Modulus}: a sequence begins with {Seeds} different numbers, so it has to be at least {Seeds}");
        }

        var combinations = Combinations().ToList();
        return Enumerable.Range(first, count).Select(n => Extend(combinations[n % combinations.Count], length));
    }

    /// <summary>The sequence with these first numbers.</summary>
    internal int[] Extend(ReadOnlySpan<int> seeds, int length)
    {
        var sequence = new int[length];
        seeds.CopyTo(sequence);
        for (var n = Seeds; n < length; n++)
        {
            var far = Family switch
            {
                PosGenFamily.Recurrent => n - Seeds,
                PosGenFamily.Cot => 0,
                _ => (n - Seeds) / 2,
            };
            sequence[n] = (Sum(sequence, far, Far) + Sum(sequence, n - Near, Near)) % Modulus;
        }

        return sequence;
    }

    private static int Sum(int[] sequence, int from, int count)
    {
        var sum = 0;
        foreach (var number in sequence.AsSpan(from, count))
        {
            sum += number;
        }

        return sum;
    }

    /// <summary>Ascending numbers below the modulus, in the order of Python's <c>itertools.combinations</c>.</summary>
    private IEnumerable<int[]> Combinations()
    {
        int[] chosen = [.. Enumerable.Range(0, Seeds)];
        while (true)
        {
            yield return [.. chosen];
            var last = Seeds - 1;
            while (last >= 0 && chosen[last] == Modulus - Seeds + last)
            {
                last--;
            }

            if (last < 0)
            {
                yield break;
            }

            for (var (n, next) = (last, chosen[last] + 1); n < Seeds; n++, next++)
            {
                chosen[n] = next;
            }
        }
    }
}
