namespace CutoffLen.Positions.Methods;

/// <summary>
/// The 32-bit Mersenne Twister (Matsumoto and Nishimura, 1998), and permutations drawn from it as torch's CPU generator draws
/// them: PermuteFormer's are given by a seed of that generator.
/// </summary>
internal sealed class MersenneTwister
{
    private const int Size = 624;
    private const int Middle = 397;
    private readonly uint[] state = new uint[Size];
    private int next = Size;

    /// <summary>Starts the generator from a seed.</summary>
    public MersenneTwister(uint seed)
    {
        state[0] = seed;
        for (var i = 1; i < Size; i++)
        {
            state[i] = (1812433253u * (state[i - 1] ^ (state[i - 1] >> 30))) + (uint)i;
        }
    }

    /// <summary>The next 32 random bits.</summary>
    public uint Next()
    {
        if (next == Size)
        {
            Twist();
        }

        var bits = state[next++];
        bits ^= bits >> 11;
        bits ^= (bits << 7) & 0x9d2c5680u;
        bits ^= (bits << 15) & 0xefc60000u;
        return bits ^ (bits >> 18);
    }

    /// <summary>torch.randperm(length): Fisher and Yates from the front.</summary>
    public int[] Permutation(int length)
    {
        var result = Enumerable.Range(0, length).ToArray();
        for (var i = 0; i < length - 1; i++)
        {
            var other = i + (int)(Next() % (uint)(length - i));
            (result[i], result[other]) = (result[other], result[i]);
        }

        return result;
    }

    private void Twist()
    {
        for (var i = 0; i < Size; i++)
        {
            var mixed = (state[i] & 0x80000000u) | (state[(i + 1) % Size] & 0x7fffffffu);
            state[i] = state[(i + Middle) % Size] ^ (mixed >> 1) ^ ((mixed & 1) == 0 ? 0 : 0x9908b0dfu);
        }

        next = 0;
    }
}
