using TorchSharp;
using static TorchSharp.torch;

namespace Standins.Tests.TorchSharp;

public sealed class RandomTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void The_same_seed_draws_the_same_numbers()
    {
        manual_seed(11);
        Tensor first = cat([randn(5), rand(5), randint(0, 100, [5]).to(float32), randperm(5).to(float32)]);
        Tensor other = randn(5);
        manual_seed(11);
        Tensor again = cat([randn(5), rand(5), randint(0, 100, [5]).to(float32), randperm(5).to(float32)]);
        Assert.True(first.Equals(again));
        Assert.False(other.Equals(first[TensorIndex.Slice(0, 5)]));
    }

    [Fact]
    public void A_generator_of_ones_own_leaves_the_default_alone()
    {
        manual_seed(1);
        Tensor expected = randn(3);
        manual_seed(1);
        using Generator generator = new(5);
        Tensor own = rand(3, generator: generator);
        Assert.True(expected.Equals(randn(3)));
        generator.manual_seed(5);
        Assert.True(own.Equals(rand(3, generator: generator)));
        Assert.Equal(5, generator.initial_seed());
    }

    [Fact]
    public void A_state_can_be_stored_and_set_again()
    {
        using Generator generator = new(9);
        _ = randn([7], generator: generator);
        Tensor state = generator.get_state();
        Tensor first = randn([100], generator: generator);
        generator.set_state(state);
        Assert.True(first.Equals(randn([100], generator: generator)));

        Tensor ofDefault = random.get_rng_state();
        Tensor drawn = randn(4);
        random.set_rng_state(ofDefault);
        Assert.True(drawn.Equals(randn(4)));
    }

    [Fact]
    public void Every_way_of_drawing_takes_a_generator()
    {
        Func<Generator, Tensor>[] draws =
        [
            g => rand([2, 3], generator: g),
            g => randint(5, [6], generator: g),
            g => randperm(6, generator: g),
            g => zeros(6).normal_(1, 2, g),
            g => zeros(6).uniform_(-1, 1, g),
            g => zeros(6).exponential_(2, g),
            g => zeros(6).bernoulli_(0.5, g),
            g => full(6, 0.5).bernoulli(g),
            g => tensor(new[] { 1f, 2, 3 }).multinomial(2, generator: g),
            g => zeros(6).random_(0, 100, g),
            g => normal(1, 2, [6], generator: g),
        ];
        foreach (Func<Generator, Tensor> draw in draws)
        {
            using Generator generator = new(3);
            Tensor first = draw(generator);
            generator.manual_seed(3);
            Assert.True(first.Equals(draw(generator)));
        }
    }

    [Fact]
    public void Draws_have_the_moments_of_their_distribution()
    {
        using Generator generator = new(1);
        Tensor normal = randn([100_000], generator: generator);
        Assert.Equal(0, normal.mean().ToDouble(), 0.02);
        Assert.Equal(1, normal.std().ToDouble(), 0.02);
        Tensor uniform = rand([100_000], generator: generator);
        Assert.Equal(0.5, uniform.mean().ToDouble(), 0.01);
        Assert.Equal([0L, 1L, 2L], randint(0, 3, [1000], generator: generator).unique().output.data<long>().ToArray());
        Assert.Equal(Enumerable.Range(0, 50).Select(i => (long)i), randperm(50, generator: generator).sort().Values.data<long>());
        Tensor picks = tensor(new[] { 0f, 1, 3 }).multinomial(40_000, replacement: true, generator);
        Assert.Equal(0.75, (picks == 2).to(float32).mean().ToDouble(), 0.02);
    }
}
