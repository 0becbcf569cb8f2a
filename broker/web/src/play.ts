// The player that the sallyport command serves on a person's own machine.
import './styles/tokens.css';
import './styles/base.css';
import { mount } from 'svelte';
import OwnPlayer from './pages/OwnPlayer.svelte';

mount(OwnPlayer, { target: document.getElementById('app')! });
